// A release holds the pages it was built with: each built file's bytes are in the program.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [program, ...folders] = process.argv.slice(2);
const bytes = readFileSync(program);
let files = 0;
const missing = [];
for (const folder of folders) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    files += 1;
    if (!bytes.includes(readFileSync(path))) missing.push(path);
  }
}
if (files === 0 || missing.length > 0) {
  console.error(files === 0 ? `no files in ${folders.join(', ')}` : `not in ${program}: ${missing.join(', ')}`);
  process.exit(1);
}
console.log(`${files} files of ${folders.join(', ')} are in ${program}`);
