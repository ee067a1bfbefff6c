/* The changes of API keys and admins. Each resolves to null if it was left. */
import { change } from './changes.js';
import { changeAccount } from './customer_changes.js';
import { instantOf } from './instants.js';
import { queryText } from './router.js';
import { ask } from './session.js';
import { common } from './texts/common.js';
import { people as texts } from './texts/people.js';

/** Make an API key. The data have it. */
export const makeKey = () =>
  change({
    title: texts.make,
    effect: texts.makeEffect,
    confirm: texts.make,
    fields: [
      { name: 'name', label: texts.name, hint: texts.nameHint, attributes: { autocomplete: 'off' } },
      { name: 'scopes', label: texts.scopes, type: 'checkboxes', options: texts.scopeOptions },
      { name: 'expiresAt', label: texts.expires, hint: texts.expiresHint, type: 'instant' },
    ],
    check: ({ name, scopes }) => {
      if (!name.trim()) return { name: common.required };
      return scopes.length === 0 ? { scopes: texts.scopesNone } : {};
    },
    run: ({ name, scopes, expiresAt }) =>
      ask('POST', 'api-keys', { body: { name: name.trim(), scopes, expiresAt: instantOf(expiresAt) } }),
    done: ({ apiKey }) => texts.made(apiKey.name),
  });

/** Revoke an API key. */
export const revokeKey = (key) =>
  change({
    title: texts.revokeOf(key.name),
    effect: texts.revokeEffect(key.name),
    confirm: texts.revoke,
    grave: true,
    run: () => ask('DELETE', `api-keys/${key.id}`),
    done: () => texts.revokedDone(key.name),
  });

/** Make the account with an e-mail address an admin's. */
export const promoteAccount = () =>
  change({
    title: texts.promote,
    effect: texts.promoteEffect,
    confirm: texts.promote,
    fields: [
      { name: 'email', label: texts.promoteEmail, type: 'email', required: true, attributes: { autocomplete: 'off' } },
    ],
    run: async ({ email }) => {
      const found = await ask('GET', `accounts${queryText({ email: email.trim() })}`);
      if (!found.ok) return found;
      const [account] = found.data.items;
      if (account) return ask('POST', `accounts/${account.id}/promote`);
      return { ok: false, problem: { errors: [{ field: 'email', message: texts.noAccount(email.trim()) }] } };
    },
    done: ({ email }) => texts.promoted(email),
  });

/** Make an admin's account a customer's. */
export const demoteAdmin = (account) =>
  changeAccount(account, 'demote', {
    title: texts.demote,
    effect: texts.demoteEffect,
    done: texts.demoted,
    grave: true,
  });
