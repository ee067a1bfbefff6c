/* Texts of the page Health, and of unknown pages. */
export const health = {
  title: 'Health',
  good: 'Everything is OK.',
  bad: 'Some checks need attention.',
  copy: 'Copy a report',
  checks: 'Checks',
  checksCaption: 'Checks of this service',
  check: 'Check',
  result: 'Result',
  ok: 'OK',
  attention: 'Needs attention',
  optional: 'Not OK, and not needed',
  detail: 'Detail',
  findings: 'Findings',
  findingsCaption: 'What the command “flashreserve doctor” finds about the machine and the settings',
  what: 'About',
  verdicts: { ok: 'OK', warn: 'Needs attention', fail: 'Wrong' },
  seen: 'Found',
  versions: 'Versions',
  engine: 'Engine',
  settings: 'Settings',
  settingsNote: 'Secrets are hidden.',
  setting: 'Setting',
  value: 'Value',
  reportHead: (at) => `FlashReserve, health at ${at} (UTC)`,
};

export const unknown = {
  title: 'Unknown page',
  text: (address) => `The console has no page at ${address}.`,
  home: 'Go to Today',
};
