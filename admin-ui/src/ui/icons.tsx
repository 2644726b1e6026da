/** Line icons, drawn for a square of 24. */

const PATHS = {
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z',
  streams:
    'M12 13.500a1.500 1.500 0 1 0 0-3 1.500 1.500 0 0 0 0 3M8.500 15.500a5 5 0 0 1 0-7M15.500 8.500a5 5 0 0 1 0 7M5.700 18.300a9 9 0 0 1 0-12.600M18.300 5.700a9 9 0 0 1 0 12.600',
  webhooks:
    'M9 7a3 3 0 1 1 4.500 2.600l3.200 5.500M7 14.500A3 3 0 1 0 9.800 18H16M17 15a3 3 0 1 1-2 5.200M12 7l-4.500 8',
  usage: 'M4 20h16M7 20v-7M12 20V5M17 20v-10',
  tokens: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3M12 15v1.500',
  key: 'M15 4a5 5 0 0 0-4.800 6.400L4 16.600V20h3.400v-2.500H10V15h2.400l1.200-1.200A5 5 0 1 0 15 4M16.500 7.500h.010',
  users:
    'M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7M2.500 20a6.500 6.500 0 0 1 13 0M16 4.300a3.500 3.500 0 0 1 0 6.400M18 14.200a6.500 6.500 0 0 1 3.500 5.800',
  audit: 'M7 4h10a1 1 0 0 1 1 1v15l-3-2-3 2-3-2-3 2V5a1 1 0 0 1 1-1M9.500 9h5M9.500 13h5',
  nodes: 'M4 5h16v6H4zM4 13h16v6H4zM7.500 8h.010M7.500 16h.010',
  tenants: 'M4 20V6l7-3v17M11 20h9V10l-9-3M7 9h1M7 13h1M7 17h1M15 13h1M15 17h1',
  menu: 'M4 7h16M4 12h16M4 17h16',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12.500 10 17 19 7',
  warning: 'M12 4 2.500 20h19zM12 10v4.500M12 17.300h.010',
  info: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 11v5M12 8h.010',
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6 6 18',
  down: 'M6 9.500l6 6 6-6',
  sound: 'M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11',
  silent: 'M4 9.500v5h3.500L12 18.500v-13L7.500 9.500zM16 9.500l5 5M21 9.500l-5 5',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M16 16l4.500 4.500',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
