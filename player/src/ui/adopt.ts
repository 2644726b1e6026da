/** Fills a shadow root from HTML without breaking a strict `style-src`: its <style> become a constructed sheet. */
export function adopt(root: ShadowRoot, html: string): void {
  const template = document.createElement('template');
  template.innerHTML = html;
  // A shadow root that is declared in it would bring its <style> along; elements make their own.
  for (const inner of template.content.querySelectorAll('template[shadowrootmode]')) inner.remove();
  let css = '';
  for (const style of template.content.querySelectorAll('style')) {
    css += style.textContent;
    style.remove();
  }
  if (css) {
    // One per element, as media-chrome adds rules of single elements to theirs.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  }
  root.append(template.content);
}
