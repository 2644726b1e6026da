/** The two pictures that media-chrome has no button for. */
export const ICON_STATS =
  '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 20V10h3v10zm6.5 0V4h3v16zM17 20v-7h3v7z"/></svg>';
export const ICON_UNMUTE =
  '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 9v6h4l5 4V5L8 9zm12.6-.7-1.3 1.3L17.700 12l-2.4 2.4 1.3 1.3L19 13.3l2.4 2.4 1.3-1.3-2.4-2.4 2.4-2.4-1.3-1.3L19 10.7z"/></svg>';
