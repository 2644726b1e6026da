// media-chrome writes <style> into its shadow roots, which a strict Content-Security-Policy refuses. This esbuild plugin
// lets its elements adopt constructed style sheets instead, which no policy governs.
import { readFile } from 'node:fs/promises';

const SHADOW =
  /this\.shadowRoot\.setHTMLUnsafe \? this\.shadowRoot\.setHTMLUnsafe\(html\) : this\.shadowRoot\.innerHTML = html;/g;
const PLAIN = /this\.shadowRoot\.innerHTML = ([^;]+);/g;
const SHEETS = /styleParent\.querySelectorAll\("style:not\(\[media\]\)"\)/g;
const HELPER = new URL('../src/ui/adopt.ts', import.meta.url).pathname;

export function strictStyles() {
  return {
    name: 'strict-styles',
    setup(builder) {
      let adopted = 0;
      let sheets = 0;
      builder.onLoad({ filter: /media-chrome\/dist\/[\w/-]+\.js$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const count = (pattern) => text.match(pattern)?.length ?? 0;
        const writes = count(SHADOW) + (count(SHADOW) === 0 ? count(PLAIN) : 0);
        adopted += writes;
        sheets += count(SHEETS);
        if (text.includes('shadowRoot.innerHTML =') && writes === 0) {
          return {
            errors: [{ text: `${path} writes a shadow root in a way that this build does not know` }],
          };
        }
        const contents = text
          .replace(SHADOW, 'weirAdopt(this.shadowRoot, html);')
          .replace(PLAIN, 'weirAdopt(this.shadowRoot, $1);')
          .replace(SHEETS, 'styleParent.adoptedStyleSheets?.map((sheet) => ({ sheet }))');
        const helper = writes > 0 ? `import { adopt as weirAdopt } from ${JSON.stringify(HELPER)};\n` : '';
        return { contents: helper + contents, loader: 'js' };
      });
      builder.onEnd(() => {
        if (adopted > 0 && sheets === 0)
          throw new Error('media-chrome keeps its dynamic styles elsewhere now');
      });
    },
  };
}
