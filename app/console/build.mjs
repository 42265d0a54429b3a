// Copies what the pages load from node_modules to static/vendor, where the service serves it from.
import { copyFileSync, mkdirSync } from "node:fs";

const vendor = "static/vendor";
mkdirSync(vendor, { recursive: true });
for (const file of ["swagger-ui.css", "swagger-ui-bundle.js"]) {
  copyFileSync(`node_modules/swagger-ui-dist/${file}`, `${vendor}/${file}`);
}
