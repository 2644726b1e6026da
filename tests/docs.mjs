// What the documentation names is there: files, headings, make's targets, variables, keys, commands, metrics, the API's
// addresses, tests. (Alerts and their runbook: tests/it/operations.rs.)
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const BUILT = new Set(['.git', 'target', 'node_modules', 'dist', 'data', 'out', 'corpus']);
const FOLDERS = ['src', 'tests', 'docs', 'player', 'admin-ui', 'migrations', 'scripts', 'examples', '.ci'];
/** For operators, besides pages: they may name a node's own variables only. */
const DEPLOYED = [
  'docker-compose.yml',
  'Dockerfile',
  'docs/deploy/haproxy.cfg',
  'docs/deploy/nginx.conf',
  'docs/operations/weir.service',
];

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);

function walk(folder = ROOT) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (BUILT.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [relative(ROOT, path)] : [];
  });
}

const files = walk();
const pages = files.filter((path) => path.endsWith('.md'));
const sources = files.filter((path) => path.endsWith('.rs'));

const targets = new Set(all(read('Makefile'), /^([a-z][a-z0-9-]*):/gm));
const keys = new Set(all(read('src/config/keys.rs'), /^\s+name: "([a-z_.]+)",/gm));
const sections = new Set([...keys].filter((key) => key.includes('.')).map((key) => key.split('.')[0]));
const settings = new Set([...keys].map((key) => `WEIR_${key.replace('.', '_').toUpperCase()}`));
const scripted = files.filter((path) =>
  /^(tests|player|admin-ui|\.ci)\/.*\.(rs|mjs|js|ts|sh|py)$|^Makefile$/.test(path),
);
const variables = new Set([
  ...settings,
  ...scripted.flatMap((path) => all(read(path), /\b(WEIR_[A-Z0-9_]*[A-Z0-9])\b/g)),
]);
const commands = new Set(
  all(read('src/cli/mod.rs').split('enum Command {')[1].split('\n}\n')[0], /^ {4}([A-Z][a-z]+)\b/gm).map(
    (name) => name.toLowerCase(),
  ),
);
const metrics = new Set(
  all(read('src/telemetry.rs'), /"([a-z_]+)"/g).flatMap((name) =>
    ['', '_total', '_bucket', '_sum', '_count'].map((end) => `weir_${name}${end}`),
  ),
);
const { paths } = JSON.parse(read('src/api/openapi.json'));
const routes = Object.entries(paths).map(([path, calls]) => ({ parts: path.split('/').slice(1), calls }));

const faults = [];

for (const page of pages) {
  const text = read(page);
  const blocks = all(text, /^ *```[a-z]*\n([^]*?)^ *```/gm);
  const prose = text.replace(/^ *```[^]*?^ *```/gm, '');
  const spans = all(prose, /`([^`]+)`/g).map((span) => span.replace(/\s+/g, ' '));
  const isOperators = page === 'README.md' || page.startsWith('docs/');
  const check = (isThere, what) => isThere || faults.push(`${page}: ${what}`);

  for (const link of all(prose.replace(/`[^`]*`/g, ''), /\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [path, heading] = link.split('#');
    const to = path === '' ? page : join(dirname(page), path);
    check(existsSync(join(ROOT, to)), `the link ${link} leads nowhere`);
    if (heading && existsSync(join(ROOT, to)))
      check(headings(read(to)).has(heading), `no heading is #${heading} in ${to}`);
  }
  for (const code of [...spans, ...blocks]) checkCode(code, page, isOperators, check);
  for (const span of spans) checkSpan(span, page, check);
  for (const block of all(text, /^ *```toml\n([^]*?)^ *```/gm)) {
    for (const key of tomlKeys(block)) check(keys.has(key), `${key} is no key of the configuration`);
  }
}
for (const path of DEPLOYED)
  checkCode(read(path), path, true, (isThere, what) => isThere || faults.push(`${path}: ${what}`));

function checkCode(code, page, isOperators, check) {
  for (const named of all(code, /\bmake((?: [a-z][a-z0-9-]+)+)/g)) {
    for (const target of named.trim().split(' ')) check(targets.has(target), `make has no target ${target}`);
  }
  for (const name of all(code, /\b(WEIR_[A-Z0-9_]*[A-Z0-9])\b/g)) {
    check((isOperators ? settings : variables).has(name), `nothing reads ${name}`);
  }
  for (const command of all(code, /(?<!=\S*)(?:^|[`(/]|sudo |; |&& )weir ([a-z]+)\b/gm))
    check(commands.has(command), `weir has no command ${command}`);
  for (const metric of all(code, /\b(weir_[a-z_]+[a-z])\b/g))
    check(metrics.has(metric), `no metric is called ${metric}`);
  for (const [, method, path] of code
    .replace(/\$\([^)]*\)/g, '$X')
    .matchAll(/(?:\b(GET|POST|PATCH|DELETE) )?(?:\$API|\$WEIR|\/api\/v1)(\/[^\s"'`)|?,;]+)/g)) {
    check(
      path === '/openapi.json' || hasRoute(path, method),
      `the API has no ${[method, path].filter(Boolean).join(' ')}`,
    );
  }
}

function checkSpan(span, page, check) {
  const [, section] = /^([a-z]+)\.[a-z_]+(?:$| ?=)/.exec(span) ?? [];
  const key = span.split(/ ?=/)[0];
  if (sections.has(section) && !/\.(m?js|rs|toml)$/.test(key))
    check(keys.has(key), `${key} is no key of the configuration`);
  const [, method, path] = /^(GET|POST|PATCH|DELETE) (\/[^\s?]+)/.exec(span) ?? [];
  if (path && !/^\/(api|live)\//.test(path))
    check(hasRoute(path, method), `the API has no ${method} ${path}`);
  for (const file of span.split(' ')) {
    if (
      !FOLDERS.includes(file.replace(/^(\.\.\/)*/, '').split('/')[0]) ||
      !file.includes('/') ||
      /[*{}]|\/dist\b/.test(file)
    )
      continue;
    check(
      [dirname(page), '.'].some((folder) => existsSync(join(ROOT, folder, file))),
      `there is no ${file}`,
    );
  }
  if (page.startsWith('tests/faults/') && /^[a-z0-9_]+(::[a-z0-9_]+)+$/.test(span))
    check(hasTest(span), `there is no test ${span}`);
}

/** As renderers make anchors of them. */
function headings(text) {
  const slug = (title) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-');
  return new Set(all(text.replace(/^ *```[^]*?^ *```/gm, ''), /^#+ (.+)$/gm).map(slug));
}

function tomlKeys(block) {
  let section = '';
  return block.split('\n').flatMap((line) => {
    section = /^\s*\[([a-z_]+)\]/.exec(line)?.[1] ?? section;
    const name = /^\s*([a-z_]+)\s*=/.exec(line)?.[1];
    return name ? [section ? `${section}.${name}` : name] : [];
  });
}

/** `$ID`, `{id}`, `ID` and `str_...` stand for any id. */
function hasRoute(path, method) {
  const parts = path.replace(/\/$/, '').split('/').slice(1);
  const fits = (part, name) =>
    part === name || (name.startsWith('{') && /^(\$|\{|[A-Z]|[a-z]+_\.\.\.$)/.test(part));
  return routes.some(
    (route) =>
      route.parts.length === parts.length &&
      route.parts.every((name, n) => fits(parts[n], name)) &&
      (!method || method.toLowerCase() in route.calls),
  );
}

/** `module::beginning_of_a_test` or `module::module`; modules by their files' paths. */
function hasTest(named) {
  const parts = named.split('::');
  const within = (modules) =>
    sources.filter((path) => `/${path.replace(/(\/mod)?\.rs$/, '')}/`.includes(`/${modules.join('/')}/`));
  if (within(parts).length > 0) return true;
  return within(parts.slice(0, -1)).some((path) => read(path).includes(`fn ${parts.at(-1)}`));
}

if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`${pages.length} pages: what they name is there`);
