export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'weir.theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');

export function theme(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : 'auto';
  } catch {
    return 'auto';
  }
}

export function setTheme(chosen: Theme): void {
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // storage can be forbidden; then the choice lasts as long as the page
  }
  apply(chosen);
}

function apply(chosen: Theme): void {
  const shown = chosen === 'auto' ? (dark.matches ? 'dark' : 'light') : chosen;
  document.documentElement.dataset.theme = shown;
  window.dispatchEvent(new Event('weir-theme'));
}

export function followTheme(): void {
  apply(theme());
  dark.addEventListener('change', () => apply(theme()));
}
