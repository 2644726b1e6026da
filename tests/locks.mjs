// Lock files pin each package by its hash, and name no other place than the public registry.
import { readFileSync } from 'node:fs';

const faults = [];
for (const folder of ['player', 'admin-ui', 'tests/e2e']) {
  const { packages } = JSON.parse(readFileSync(`${folder}/package-lock.json`, 'utf8'));
  for (const [path, found] of Object.entries(packages)) {
    if (path === '' || found.link) continue;
    const from = found.resolved ?? 'https://registry.npmjs.org/';
    if (!from.startsWith('https://registry.npmjs.org/')) faults.push(`${folder}: ${path} is from ${from}`);
    if (!found.integrity) faults.push(`${folder}: ${path} has no hash`);
  }
}
for (const file of ['Cargo.lock', 'tests/fuzz/Cargo.lock']) {
  for (const block of readFileSync(file, 'utf8').split('[[package]]').slice(1)) {
    const value = (key) => block.match(new RegExp(`^${key} = "(.*)"$`, 'm'))?.[1];
    const source = value('source');
    if (source === undefined) continue;
    if (source !== 'registry+https://github.com/rust-lang/crates.io-index') {
      faults.push(`${file}: ${value('name')} is from ${source}`);
    }
    if (!value('checksum')) faults.push(`${file}: ${value('name')} has no hash`);
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log('all lock files: public registries only, each package by its hash');
