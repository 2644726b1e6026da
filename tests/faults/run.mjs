#!/usr/bin/env node
// Runs what the rows of README.md name, one after the other, and says what became of each:
//   node run.mjs [--list | --check] [ROW ...]      CARGO and WEIR_BIN as in the Makefile; a ROW is for instance F13
// --list prints the commands; --check only looks whether each test that is named is there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url).pathname;
const cargo = process.env.CARGO ?? 'cargo';
const options = process.argv.slice(2).filter((word) => word.startsWith('--'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));

/** The table's rows; one without a name of its own goes on with the one above. */
function rows() {
  const found = [];
  let name = '';
  for (const line of readFileSync(`${root}tests/faults/README.md`, 'utf8').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    if (cells.length < 6 || cells[1].startsWith('---') || cells[3] === 'test') continue;
    name = cells[1] || name;
    found.push({ name, scenario: cells[2], words: [...cells[3].matchAll(/`([^`]+)`/g)].map((match) => match[1]) });
  }
  return found;
}

/** What a row's words ask for: tests of `it` together, everything else as it is written. */
function commands({ words }) {
  const settings = words.filter((word) => /^[A-Z_]+=\S+$/.test(word));
  const tests = words.filter((word) => /^[a-z_]+::\w+$/.test(word));
  const others = words.filter((word) => /^(?:[A-Z_]+=\S+ )*cargo /.test(word) || /^make (?!faults)/.test(word));
  const pages = words.filter((word) => /^tests\/e2e\/\w+\.mjs$/.test(word)).map((page) => `node ${page}`);
  const binary = `cargo test --release --test it -- ${tests.join(' ')} --nocapture --include-ignored --test-threads 1`;
  return [...(tests.length > 0 ? [[...settings, binary].join(' ')] : []), ...others, ...pages];
}

/** Tests by their names, as `module::beginning`. */
function missing({ words }) {
  return words.filter((word) => {
    const [, module, name] = word.match(/^([a-z_]+)::(\w+)$/) ?? [];
    if (!module) return false;
    const source = readFileSync(`${root}tests/it/${module}.rs`, 'utf8');
    return !new RegExp(`fn ${name}`).test(source);
  });
}

/** Of tests, at least one has to have run: a name that fits none passes too. */
function passes(command) {
  const report = join(mkdtempSync(join(tmpdir(), 'faults-')), 'report');
  const script = `set -o pipefail; { ${command}; } 2>&1 | tee ${report}`;
  const { status } = spawnSync('bash', ['-c', script], { cwd: root, stdio: 'inherit' });
  const results = [...readFileSync(report, 'utf8').matchAll(/^test result: .* (\d+) passed/gm)];
  return status === 0 && (results.length === 0 || results.some(([, passed]) => passed > 0));
}

const all = rows();
if (all.length < 30) throw new Error('the table in tests/faults/README.md was not found');
const absent = all.flatMap(missing);
if (absent.length > 0) {
  console.error(`tests/faults/README.md names tests that are not there: ${absent.join(', ')}`);
  process.exit(1);
}
if (options.includes('--check')) {
  console.log(`tests/faults/README.md: ${all.length} rows, all tests that they name are there`);
  process.exit(0);
}

const results = [];
for (const row of all.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.split(', ').includes(word)))) {
  const todo = commands(row);
  if (options.includes('--list')) {
    console.log([`${row.name}: ${row.scenario}`, ...todo.map((command) => `    ${command}`)].join('\n'));
    continue;
  }
  const started = Date.now();
  let verdict = todo.length > 0 ? 'pass' : 'no command';
  for (const command of todo) {
    console.log(`\n== ${row.name}: ${row.scenario}\n== ${command}`);
    if (!passes(command.replace(/(^| )cargo /, (_, before) => `${before}${cargo} `))) verdict = 'FAIL';
  }
  results.push(`${verdict.padEnd(10)} ${String(Math.round((Date.now() - started) / 1000)).padStart(5)} s  ${row.name}: ${row.scenario}`);
}
if (results.length > 0) console.log(`\n${results.join('\n')}`);
process.exit(results.some((line) => line.startsWith('FAIL')) ? 1 : 0);
