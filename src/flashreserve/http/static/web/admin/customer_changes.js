/* The changes of a customer and of an account. Each resolves to null if it was left. */
import { change } from './changes.js';
import { ask, askPatiently } from './session.js';
import { customer as texts } from './texts/customers.js';

/** A change of an account, which the API has a path for. */
export function changeAccount(account, action, { title, effect, done, grave }) {
  return change({
    title,
    effect: effect(account.email),
    confirm: title,
    grave,
    run: () => ask('POST', `accounts/${account.id}/${action}`),
    done: () => done(account.email),
  });
}

/** Let an account sign in no more. */
export const disableAccount = (account) =>
  changeAccount(account, 'disable', {
    title: texts.disable,
    effect: texts.disableEffect,
    done: texts.disabled,
    grave: true,
  });

/** Let a disabled account sign in again. */
export const enableAccount = (account) =>
  changeAccount(account, 'enable', { title: texts.enable, effect: texts.enableEffect, done: texts.enabled });

/** Sign an account out everywhere. */
export const signOutAccount = (account) =>
  changeAccount(account, 'sign-out', { title: texts.signOut, effect: texts.signOutEffect, done: texts.signedOut });

/** Make a code by which the owner of an account sets a new password. */
export const makeResetCode = (account) =>
  changeAccount(account, 'reset-code', {
    title: texts.resetCode,
    effect: texts.resetEffect,
    done: () => texts.resetDone,
  });

/** Erase a customer. The e-mail address, or the id without one, has to be typed. */
export function eraseCustomer({ id, email, reservations, more }) {
  const who = email ?? id;
  return change({
    title: texts.eraseTitle(who),
    effect: texts.eraseEffect(reservations, more),
    confirm: texts.erase,
    grave: true,
    fields: [{ name: 'who', label: texts.eraseConfirm(who), attributes: { autocomplete: 'off' } }],
    check: (values) => (values.who.trim() === who ? {} : { who: texts.eraseDiffers }),
    run: () => askPatiently('DELETE', `customers/${encodeURIComponent(id)}`),
    done: texts.erased,
  });
}
