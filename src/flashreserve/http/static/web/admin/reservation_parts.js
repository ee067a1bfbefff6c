/* What pages show of reservations, and the changes of one. */
import { html } from '../shared/html.js';
import { count } from '../shared/format.js';
import { change } from './changes.js';
import { ProductLink } from './product_names.js';
import { ask } from './session.js';
import { STATUSES } from './texts/common.js';
import { reservation as texts } from './texts/reservations.js';

/** The status of a reservation as a word. */
export const Status = ({ status }) =>
  html`<span class="status ${status.toLowerCase()}">${STATUSES[status] ?? status}</span>`;

/** The lines of a reservation: how many units of which product. */
export function Lines({ lines }) {
  return html`<ul class="plain">
    ${lines.map(
      ({ productId, quantity, returned }) =>
        html`<li key=${productId}>${count(quantity - returned)} × <${ProductLink} id=${productId} /></li>`,
    )}
  </ul>`;
}

/** The units of a reservation that were not given back. */
export const unitsLeft = ({ lines }) => lines.reduce((sum, { quantity, returned }) => sum + quantity - returned, 0);

/** Cancel a hold. */
export const cancelHold = (held) =>
  change({
    title: texts.cancel,
    effect: texts.cancelEffect(unitsLeft(held)),
    confirm: texts.cancel,
    grave: true,
    run: () => ask('DELETE', `reservations/${held.id}`),
    done: () => texts.cancelled(unitsLeft(held)),
  });

/** Return units of a purchase. `nameOf(productId)` names its products. */
export function returnUnits(bought, nameOf) {
  const lines = bought.lines.filter(({ quantity, returned }) => quantity > returned);
  const left = ({ quantity, returned }) => quantity - returned;
  const wanted = (values) =>
    lines
      .map(({ productId }) => ({ productId, quantity: Number(values[productId]) }))
      .filter(({ quantity }) => quantity > 0);
  return change({
    title: texts.return,
    effect: texts.returnEffect,
    confirm: texts.return,
    keyed: `return:${bought.id}`,
    fields: [
      ...lines.map((line) => ({
        name: line.productId,
        label: texts.returnUnits(nameOf(line.productId), left(line)),
        value: lines.length === 1 ? String(left(line)) : '0',
        attributes: { inputmode: 'numeric', autocomplete: 'off' },
      })),
      { name: 'reason', label: texts.returnReason, attributes: { maxlength: 500, autocomplete: 'off' } },
    ],
    check: (values) => returnErrors(lines, values, left),
    run: (values, key) => {
      const body = { lines: wanted(values), reason: values.reason.trim() || null };
      return ask('POST', `reservations/${bought.id}/returns`, { body, key });
    },
    done: (_, values) => texts.returnedDone(wanted(values).reduce((sum, { quantity }) => sum + quantity, 0)),
  });
}

function returnErrors(lines, values, left) {
  const invalid = lines.filter((line) => {
    const text = values[line.productId].trim();
    return !/^[0-9]+$/.test(text) || Number(text) > left(line);
  });
  if (invalid.length > 0)
    return Object.fromEntries(invalid.map((line) => [line.productId, texts.returnMost(left(line))]));
  const some = lines.some(({ productId }) => Number(values[productId]) > 0);
  return some ? {} : { [lines[0].productId]: texts.returnNone };
}
