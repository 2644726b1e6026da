// Every crate that goes into the server has a licence that allows it, and comes from the registry.
import { execFileSync } from 'node:child_process';

const allowed = new Set([
  'MIT', 'MIT-0', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'Zlib',
  'Unicode-3.0', 'CC0-1.0', '0BSD', 'BSL-1.0', 'Unlicense', 'CDLA-Permissive-2.0', 'OpenSSL',
]);

/** True where one way through `a OR b`, `a AND b` and brackets uses allowed licences only. */
function isAllowed(expression) {
  const tokens = expression.replaceAll('/', ' OR ').match(/\(|\)|[^\s()]+/g) ?? [];
  let at = 0;
  const any = () => {
    let value = all();
    while (tokens[at] === 'OR') (at++, (value = all() || value));
    return value;
  };
  const all = () => {
    let value = one();
    while (tokens[at] === 'AND') (at++, (value = one() && value));
    return value;
  };
  const one = () => {
    if (tokens[at] === '(') {
      at++;
      const value = any();
      at++;
      return value;
    }
    let name = tokens[at++];
    if (tokens[at] === 'WITH') (name += ` WITH ${tokens[at + 1]}`, (at += 2));
    return allowed.has(name);
  };
  return any() && at === tokens.length;
}

const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version=1', '--locked'], { maxBuffer: 1 << 28 }),
);
const faults = [];
for (const crate of metadata.packages) {
  if (crate.source === null) continue;
  const name = `${crate.name} ${crate.version}`;
  if (!crate.source.startsWith('registry+')) faults.push(`${name}: from ${crate.source}, not from the registry`);
  if (!crate.license || !isAllowed(crate.license)) faults.push(`${name}: licence ${crate.license ?? 'unknown'}`);
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`${metadata.packages.length} crates, all licences allowed`);
