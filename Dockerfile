# Two stages: the first builds what the pages need and a virtual environment, the second runs it as nobody in particular.
FROM node:20-bookworm-slim AS assets
WORKDIR /src
COPY app/console/package.json app/console/package-lock.json app/console/.npmrc app/console/build.mjs ./
RUN npm ci --no-audit --no-fund && node build.mjs

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/trailmatch
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY geo geo
COPY matcher matcher
COPY app app
COPY migrations migrations
COPY --from=assets /src/static/vendor app/console/static/vendor
RUN /opt/trailmatch/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.13-slim-bookworm
RUN useradd --system --create-home --home-dir /var/lib/trailmatch trailmatch
COPY --from=build /opt/trailmatch /opt/trailmatch
ENV PATH=/opt/trailmatch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TRAILMATCH_STATE_DIR=/var/lib/trailmatch/state
USER trailmatch
WORKDIR /var/lib/trailmatch
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/liveness', timeout=2)"]
# DATABASE_URL names the server. Migrations are a step of the deployment, never of a start: `trailmatch db migrate`.
CMD ["trailmatch", "serve", "--host", "0.0.0.0", "--port", "8000"]
