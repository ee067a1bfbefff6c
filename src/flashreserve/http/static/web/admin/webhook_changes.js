/* The changes of webhook endpoints. Each resolves to null if it was left. */
import { change } from './changes.js';
import { instantOf } from './instants.js';
import { ask, askPatiently } from './session.js';
import { ALL_TYPES, EVENT_TYPES, webhook as texts, webhooks } from './texts/webhooks.js';

const fields = (url, events) => [
  { name: 'url', label: webhooks.url, hint: webhooks.urlHint, required: true, value: url, type: 'url' },
  { name: 'events', label: webhooks.events, type: 'checkboxes', options: EVENT_TYPES, value: events },
];

function errorsOf({ url, events }) {
  if (!url.trim()) return { url: webhooks.urlHint };
  if (events.length === 0) return { events: webhooks.eventsNone };
  return events.includes(ALL_TYPES) && events.length > 1 ? { events: webhooks.eventsAlone } : {};
}

const bodyOf = ({ url, events }) => ({ url: url.trim(), events });

/** Add an endpoint. The data have its secret. */
export const addEndpoint = () =>
  change({
    title: webhooks.add,
    effect: webhooks.addEffect,
    confirm: webhooks.add,
    fields: fields('', [ALL_TYPES]),
    check: errorsOf,
    run: (values) => ask('POST', 'webhooks', { body: bodyOf(values) }),
    done: () => webhooks.added,
  });

/** Change the URL or the types of an endpoint. */
export const editEndpoint = (endpoint) =>
  change({
    title: texts.edit,
    effect: texts.editEffect,
    confirm: texts.edit,
    fields: fields(endpoint.url, endpoint.events),
    check: errorsOf,
    run: (values) => ask('PATCH', `webhooks/${endpoint.id}`, { body: bodyOf(values) }),
    done: () => texts.edited,
  });

const action = (name, grave) => (endpoint) =>
  change({
    title: texts[name],
    effect: texts[`${name}Effect`],
    confirm: texts[name],
    grave,
    run: () => askPatiently('POST', `webhooks/${endpoint.id}/${name}`),
    done: DONE[name],
    good: (data) => !data.error,
  });

const DONE = { test: (attempt) => texts.tested(attempt), rotate: () => texts.rotated, disable: () => texts.disabled };

/** Send a test to an endpoint. */
export const testEndpoint = action('test');

/** Give an endpoint a new secret, which the data have. */
export const rotateEndpoint = action('rotate', true);

/** Send nothing to an endpoint until it is enabled. */
export const disableEndpoint = action('disable', true);

/** Send events to an endpoint again. */
export const enableEndpoint = (endpoint) =>
  change({
    title: texts.enable,
    effect: texts.enableEffect,
    confirm: texts.enable,
    fields: [{ name: 'replayFrom', label: texts.replayFrom, type: 'instant', hint: texts.replayHint }],
    run: ({ replayFrom }) =>
      ask('POST', `webhooks/${endpoint.id}/enable`, { body: { replayFrom: instantOf(replayFrom) } }),
    done: () => texts.enabled,
  });

/** Remove an endpoint. */
export const removeEndpoint = (endpoint) =>
  change({
    title: texts.remove,
    effect: texts.removeEffect(endpoint.backlog),
    confirm: texts.remove,
    grave: true,
    run: () => ask('DELETE', `webhooks/${endpoint.id}`),
    done: () => texts.removed,
  });

/** Send an event to an endpoint once more. */
export const resendEvent = (endpoint, eventId = '') =>
  change({
    title: texts.resendTitle,
    effect: texts.resendEffect,
    confirm: texts.resend,
    fields: [
      { name: 'eventId', label: texts.resendId, value: eventId, required: true, attributes: { autocomplete: 'off' } },
    ],
    run: (values) =>
      ask('POST', `webhooks/${endpoint.id}/deliveries/${encodeURIComponent(values.eventId.trim())}/resend`),
    done: texts.resent,
  });
