// The player's promises, one scenario each: `run` gets the world and says what it expects; it returns figures.

import { canvas } from './scenarios/canvas.mjs';
import { connection } from './scenarios/connection.mjs';
import { media } from './scenarios/media.mjs';
import { page } from './scenarios/page.mjs';

export const scenarios = { ...media, ...connection, ...page, ...canvas };
