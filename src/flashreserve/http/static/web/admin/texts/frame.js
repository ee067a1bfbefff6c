/* Texts of the frame around every page. */
export const frame = {
  console: 'Console',
  skip: 'Skip to the page',
  navigation: 'Sections',
  menu: 'Menu',
  storefront: 'Storefront',
  signOut: 'Sign out',
  pauseRegion: 'Pause of all sales',
  allPaused: 'All sales are paused.',
  connections: {
    live: 'Live',
    reconnecting: 'Connecting …',
    polling: 'No live connection: asking every 2 s',
  },
  sections: [
    ['', 'Today'],
    ['products', 'Products'],
    ['reservations', 'Reservations'],
    ['holds', 'Holds'],
    ['customers', 'Customers'],
    ['audit', 'Audit'],
    ['webhooks', 'Webhooks'],
    ['people', 'Keys and people'],
    ['health', 'Health'],
  ],
};
