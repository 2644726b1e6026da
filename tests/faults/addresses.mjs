// What a flood comes from: one address, or the first so many of 2^16 that begin alike.

/** `from` is an address, or the first two numbers of `count` of them. */
export function address({ from, count = 1 }, at) {
  const number = at % count;
  return count === 1 ? from : `${from}.${number >> 8}.${number & 255}`;
}
