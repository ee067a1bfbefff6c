/* Texts of the pages of webhooks. */
import { count } from '../../shared/format.js';
import { common, some } from './common.js';

/** Every type of event, also those of later versions. */
export const ALL_TYPES = '*';

const TYPES = [
  ['reservation', ['created', 'confirmed', 'expired', 'cancelled', 'extended', 'returned']],
  ['product', ['created', 'edited', 'stocked', 'paused', 'resumed', 'archived']],
  ['account', ['role_changed', 'disabled', 'enabled']],
  ['api_key', ['made', 'revoked']],
  ['endpoint', ['added', 'edited', 'rotated', 'disabled', 'enabled', 'removed']],
];

/** The types that an endpoint can be sent, as the options of checkboxes. */
export const EVENT_TYPES = [
  [ALL_TYPES, 'All, also those of later versions'],
  ...TYPES.flatMap(([subject, ends]) => ends.map((end) => [`${subject}.${end}`, `${subject}.${end}`])),
];

const REASONS = { admin: 'by an admin', gone: 'because it answered 410', failing: 'because it failed for five days' };

const ERRORS = {
  url: 'the URL cannot be called',
  'address-refused': 'the address may not be called',
  dns: "the host's name has no address",
  connect: 'nobody listens there',
  tls: 'no encrypted connection',
  timeout: 'no complete answer in time',
};

export const webhooks = {
  title: 'Webhooks',
  intro: 'Events are sent to these URLs of yours, signed and in order.',
  add: 'Add an endpoint',
  addEffect:
    'Events of these types are sent to the URL from now on. Its secret, with which you verify them, is shown once. ' +
    'There may be 20 endpoints.',
  url: 'URL',
  urlHint: 'https, and a public address, unless the settings allow others.',
  events: 'Types of events',
  eventsNone: 'Choose at least one type.',
  eventsAlone: 'Choose all, or single types.',
  added: 'The endpoint is added.',
  secret: (url) => `Secret of ${url}`,
  caption: 'Endpoints, oldest first',
  empty: 'There is no endpoint yet.',
  state: 'State',
  typesOf: (events) => (events[0] === ALL_TYPES ? 'All' : events.join(', ')),
};

/** The state of an endpoint in words. `since(instant)` writes a time. */
export function endpointState({ disabledAt, disabledReason, failingSince, failures }) {
  if (disabledAt) return `Disabled ${REASONS[disabledReason] ?? disabledReason}`;
  return failingSince ? `Fails: ${some(failures, 'attempt', 'attempts')} without success` : 'Works';
}

/** The result of an attempt in words. */
export function attemptWords({ status, error, durationMs }) {
  const answer = status ? `answered ${status}` : (ERRORS[error] ?? error);
  return `${answer}, after ${count(durationMs)} ms`;
}

export const webhook = {
  title: 'Endpoint',
  url: webhooks.url,
  events: webhooks.events,
  state: webhooks.state,
  made: 'Added',
  disabledSince: 'Disabled since',
  failingSince: 'Only failures since',
  backlog: 'Backlog',
  backlogOf: ({ groups }) => (groups ? `${some(groups, 'subject', 'subjects')} with events to send` : 'nothing waits'),
  oldestDue: 'The first of them is due',
  id: 'Id',
  test: 'Send a test',
  testEffect: 'A signed event of the type endpoint.tested is sent at once. It is in no log.',
  tested: (attempt) => `${attempt.error ? 'The test failed' : 'The test was delivered'}: ${attemptWords(attempt)}.`,
  edit: 'Edit',
  editEffect: 'Events that wait go to the new URL. Only the types chosen here are sent from now on.',
  edited: 'The endpoint is changed.',
  editNothing: 'Nothing is changed.',
  rotate: 'Rotate the secret',
  rotateEffect:
    'The endpoint gets a new secret, which is shown once. For 24 hours, deliveries are signed by both, the new and ' +
    'the old one.',
  rotated: 'The secret is rotated.',
  disable: 'Disable',
  disableEffect:
    'Nothing more is sent to it until it is enabled. Events of this time are left out, unless you replay them.',
  disabled: 'The endpoint is disabled.',
  enable: 'Enable',
  enableEffect: 'Events are sent from now on, or again from a time on.',
  replayFrom: 'Replay from',
  replayHint: `Empty: without those of the time in which it was disabled. ${common.zone}`,
  enabled: 'The endpoint is enabled.',
  remove: 'Remove',
  removeEffect: ({ groups }) =>
    'Nothing more is sent to it, and its attempts are forgotten.' +
    (groups ? ` The unsent events of ${some(groups, 'subject', 'subjects')} never reach it.` : ''),
  removed: 'The endpoint is removed.',
  attempts: 'Attempts',
  attemptsCaption: 'Attempts, newest first',
  attemptsEmpty: 'Nothing was sent yet.',
  at: 'When',
  event: 'Event',
  number: 'Try',
  result: 'Result',
  results: { delivered: 'Delivered', retried: 'Failed, is tried again', failed: 'Failed, given up' },
  answer: 'Answer',
  resend: 'Resend',
  resendOf: (id) => `Resend event ${id}`,
  resendOther: 'Resend another event',
  resendTitle: 'Resend an event',
  resendEffect: 'The event is sent once more, beside all others and out of their order, with the same id.',
  resendId: 'Event id',
  resent: ({ type }) => `The event (${type}) is sent once more.`,
};
