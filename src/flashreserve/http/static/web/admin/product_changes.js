/* The changes of a product other than those of its sale. Each resolves to null if it was left. */
import { change } from './changes.js';
import { bodyOf, EDITABLE, errorsOf, valuesOf } from './product_form.js';
import { ask } from './session.js';
import { saleChanges } from './texts/today.js';
import { product as texts } from './texts/products.js';

/** Edit a product. Only the fields that were changed are sent. */
export function editProduct(product) {
  const first = valuesOf(product);
  const changed = (values) => EDITABLE.filter(({ name }) => values[name] !== first[name]);
  return change({
    title: texts.editTitle(product.name),
    effect: texts.editEffect,
    confirm: texts.editSubmit,
    fields: EDITABLE.map((field) => ({ ...field, value: first[field.name] })),
    check: (values) => errorsOf(values, EDITABLE),
    run: async (values) => {
      const names = changed(values).map(({ name }) => name);
      if (names.length === 0) return { ok: true, data: product };
      const body = bodyOf(Object.fromEntries(names.map((name) => [name, values[name]])));
      return ask('PATCH', `products/${product.id}`, { body });
    },
    done: (data, values) => (changed(values).length > 0 ? saleChanges.edited(data.name) : texts.editNothing),
  });
}

/** Put units in stock, or take some out. */
export const restockProduct = (product) =>
  change({
    title: texts.restockTitle(product.name),
    effect: texts.restockEffect(product.available, product.stockQuantity),
    confirm: texts.restock,
    keyed: `restock:${product.id}`,
    fields: [
      {
        name: 'change',
        label: texts.restockChange,
        hint: texts.restockHint,
        attributes: { inputmode: 'numeric', autocomplete: 'off' },
      },
    ],
    check: (values) =>
      /^[+-]?[0-9]+$/.test(values.change.trim()) && Number(values.change) ? {} : { change: texts.restockNumber },
    run: (values, key) =>
      ask('POST', `products/${product.id}/stock`, { body: { change: Number(values.change) }, key }),
    done: (data) => texts.restocked(data.change, data),
  });

/** Archive a product. */
export const archiveProduct = (product) =>
  change({
    title: texts.archiveTitle(product.name),
    effect: texts.archiveEffect(product.name, product.held),
    confirm: texts.archive,
    grave: true,
    run: () => ask('DELETE', `products/${product.id}`),
    done: () => texts.archivedDone(product.name),
  });

/** Take a product back from the archive. */
export const takeProductBack = (product) =>
  change({
    title: texts.takeBack,
    effect: texts.takeBackEffect(product.name, product.available),
    confirm: texts.takeBack,
    run: () => ask('PATCH', `products/${product.id}`, { body: { archived: false } }),
    done: () => texts.takenBack(product.name),
  });
