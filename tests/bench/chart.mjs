// Bars of CPU per delivered Gbit, relative to the floor of the same run.

const WIDTH = 760;
const BAR = 26;
const LABEL = 300;

export function chart(rows) {
  const most = Math.max(...rows.map((row) => row.ratio), 1.5);
  const scale = (WIDTH - LABEL - 90) / most;
  const height = rows.length * (BAR + 12) + 50;
  const bars = rows.map((row, at) => {
    const y = 40 + at * (BAR + 12);
    const length = (row.ratio * scale).toFixed(1);
    const figures = `${row.ratio.toFixed(2)} x, p99 ${row.p99_ms.toFixed(1)} ms`;
    return `<text x="${LABEL - 10}" y="${y + 18}" text-anchor="end">${escape(row.name)}, ${row.viewers}</text>
<rect x="${LABEL}" y="${y}" width="${length}" height="${BAR}" rx="3" fill="${row.name.startsWith('weir') ? '#0f766e' : '#94a3b8'}"/>
<text x="${LABEL + Number(length) + 8}" y="${y + 18}">${figures}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="${LABEL}" y="24" font-weight="bold">CPU per delivered Gbit, relative to the floor of the same run</text>
${bars.join('\n')}
</svg>
`;
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
