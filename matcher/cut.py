"""Parts of trails, cut out of pings that were read for many wearers together."""

from typing import NamedTuple

import numpy as np

from geo.jit import kernel
from matcher.trails import Ints, Longs


class Parts(NamedTuple):
    """P parts of trails, those of W wearers one after the other; of a wearer by fitting."""

    starts: Longs  # (W + 1,) wearer w has the parts starts[w] to starts[w + 1]
    fitting: Ints  # (P,) row among the wearer's fittings
    device_id: Longs  # (P,)
    from_us: Longs  # (P,) both ends belong to it
    to_us: Longs  # (P,)


@kernel
def parts_within(
    fitting_starts: Longs, device_id: Longs, worn_from_us: Longs, worn_to_us: Longs, span_starts: Longs, spans_us: Longs
) -> Parts:
    """Give what of each wearer's fittings lies in each of that wearer's stretches of time, (S, 2), both ends included.

    Wearer w has the fittings fitting_starts[w] to fitting_starts[w + 1], and the stretches likewise.
    """
    wearers, most = fitting_starts.size - 1, 0
    for w in range(wearers):
        most += (fitting_starts[w + 1] - fitting_starts[w]) * (span_starts[w + 1] - span_starts[w])
    starts, fitting, device = np.zeros(wearers + 1, np.int64), np.empty(most, np.int32), np.empty(most, np.int64)
    from_us, to_us = np.empty(most, np.int64), np.empty(most, np.int64)
    n = 0
    for w in range(wearers):
        for row in range(fitting_starts[w], fitting_starts[w + 1]):
            for span in range(span_starts[w], span_starts[w + 1]):
                from_us[n] = max(worn_from_us[row], spans_us[span, 0])
                to_us[n] = min(worn_to_us[row], spans_us[span, 1])
                fitting[n], device[n] = row - fitting_starts[w], device_id[row]
                n += from_us[n] <= to_us[n]
        starts[w + 1] = n
    return Parts(starts, fitting[:n], device[:n], from_us[:n], to_us[:n])


@kernel
def cut_out(device_id: Longs, values: Longs, parts: Parts, wearer: int) -> tuple[Ints, Longs, Ints, Ints, Ints, Ints]:
    """Give fitting, time, source, longitude, latitude and accuracy of what lies in a wearer's parts.

    device_id, (N,), and values, (5, N), whose rows are these columns but the fitting, by device and time. 0.2 us for
    each part, and 2 ns a ping.
    """
    begin, end = parts.starts[wearer], parts.starts[wearer + 1]
    first, last = np.empty(end - begin, np.int64), np.empty(end - begin, np.int64)
    for part in range(begin, end):
        own = np.searchsorted(device_id, parts.device_id[part])
        after = np.searchsorted(device_id, parts.device_id[part], "right")
        times_us = values[0, own:after]
        first[part - begin] = own + np.searchsorted(times_us, parts.from_us[part])
        last[part - begin] = own + np.searchsorted(times_us, parts.to_us[part], "right")
    size = int((last - first).sum())
    fitting, time_us, source = np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int32)
    lon_e7, lat_e7, accuracy_cm = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    n = 0
    for part in range(end - begin):
        for row in range(first[part], last[part]):
            fitting[n], time_us[n], source[n] = parts.fitting[begin + part], values[0, row], values[1, row]
            lon_e7[n], lat_e7[n], accuracy_cm[n] = values[2, row], values[3, row], values[4, row]
            n += 1
    return fitting, time_us, source, lon_e7, lat_e7, accuracy_cm
