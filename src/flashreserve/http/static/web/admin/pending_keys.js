/* Idempotency keys of changes that must not count twice. A key is kept in this tab until the outcome is known. */
import { newKey } from '../shared/api.js';

const slot = (name) => `flashreserve-key:${name}`;

/** The change of this name whose outcome isn't known: `{values, key}`, or null. */
export const pendingChange = (name) => JSON.parse(sessionStorage.getItem(slot(name)));

/** The key for a change. The same values get the same key until `settle`; other values are another change. */
export function keyFor(name, values) {
  const pending = pendingChange(name);
  const same = pending && JSON.stringify(pending.values) === JSON.stringify(values);
  const key = same ? pending.key : newKey();
  sessionStorage.setItem(slot(name), JSON.stringify({ values, key }));
  return key;
}

/** The outcome is known: the next change of this name gets a new key. */
export const settle = (name) => sessionStorage.removeItem(slot(name));
