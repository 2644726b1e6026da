// What is in a release, as CycloneDX 1.5: the crates that are linked and the packages that are bundled.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const cargo = (...args) => execFileSync('cargo', args, { maxBuffer: 1 << 28, encoding: 'utf8' });

function crates() {
  const { packages } = JSON.parse(cargo('metadata', '--format-version=1', '--locked'));
  const of = new Map(packages.map((p) => [`${p.name} v${p.version}`, p]));
  const names = cargo('tree', '--locked', '--edges', 'normal', '--target', 'all', '--prefix', 'none', '--format', '{p}');
  const linked = new Set(names.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')));
  return [...linked].flatMap((name) => {
    const found = of.get(name);
    if (!found || !found.source) return [];
    return [component('cargo', found.name, found.version, found.license)];
  });
}

/** Those that end up in pages; what builds and tests them does not. */
function bundled(folder) {
  const lock = `${folder}/package-lock.json`;
  if (!existsSync(lock)) return [];
  return Object.entries(JSON.parse(readFileSync(lock, 'utf8')).packages).flatMap(([path, found]) => {
    if (path === '' || found.dev || found.link) return [];
    return [component('npm', path.replace(/^.*node_modules\//, ''), found.version, found.license)];
  });
}

function component(kind, name, version, license) {
  const purl = `pkg:${kind}/${name.replace('@', '%40')}@${version}`;
  const licenses = license ? [{ expression: license.replaceAll('/', ' OR ') }] : [];
  return { type: 'library', 'bom-ref': purl, name, version, purl, licenses };
}

const { version } = JSON.parse(cargo('metadata', '--format-version=1', '--no-deps')).packages[0];
const components = [...crates(), ...bundled('player'), ...bundled('admin-ui')];
const unique = [...new Map(components.map((c) => [c.purl, c])).values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
const metadata = { component: { type: 'application', name: 'weir', version } };
console.log(JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.5', version: 1, metadata, components: unique }, null, 1));
