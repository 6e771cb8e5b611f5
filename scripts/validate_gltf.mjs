// Validates glTF files with Khronos's own validator: node scripts/validate_gltf.mjs FILE...
// UNRENDER_NODE_MODULES names the node_modules folder that holds the package gltf-validator (npm install --prefix FOLDER gltf-validator).
// Prints one JSON report a file; exit status 1 where any has an error or a warning, 2 where the package is not there.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

const modules = process.env.UNRENDER_NODE_MODULES ?? "node_modules";
let validator;
try {
  validator = createRequire(join(resolve(modules), "_"))("gltf-validator");
} catch (error) {
  console.error(`gltf-validator is not in ${resolve(modules)}: ${error.message.split("\n")[0]}`);
  process.exit(2);
}

let faults = 0;
for (const file of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(await readFile(file)), { uri: file });
  faults += report.issues.numErrors + report.issues.numWarnings;
  console.log(JSON.stringify({ file, issues: report.issues, info: report.info }));
}
process.exit(faults > 0 ? 1 : 0);
