// The frame number in the picture: a strip of 20 square cells along the top edge, from the left.
//
//   cell      0      1      2 ... 17            18     19
//   colour    white  black  bits 15 ... 0       black  white      (a white bit is a 1)
//
// A cell is width / 20 rounded down to an even number, at least 16 pixels; so the picture is at least
// 320 pixels wide. A reader takes the middle of each cell and refuses the number unless all four guards are
// right and every cell is clearly black or white.

export const CELLS = 20;
export const BITS = 16;
const MIN_CELL = 16;

export function cellSize(width) {
  const size = Math.floor(width / CELLS / 2) * 2;
  if (size < MIN_CELL)
    throw new Error(`a picture ${width} wide has no room for ${CELLS} cells of ${MIN_CELL}`);
  return size;
}

/** ffmpeg filters that draw the number of each frame, counted from `first`. */
export function cellFilters(width, first = 0) {
  const size = cellSize(width);
  const box = (cell, colour, cells = 1, enable = '') =>
    `drawbox=x=${cell * size}:y=0:w=${cells * size}:h=${size}:color=${colour}:t=fill${enable}`;
  const bits = Array.from({ length: BITS }, (_, at) => {
    const weight = 2 ** (BITS - 1 - at);
    return box(2 + at, 'white', 1, `:enable='eq(mod(floor((n+${first})/${weight}),2),1)'`);
  });
  return [box(0, 'black', CELLS), box(0, 'white'), box(CELLS - 1, 'white'), ...bits];
}
