/* The form of a product, for a new one and for edits: its fields, and the way to and from the API's body. */
import { instantOf, localText } from './instants.js';
import { common } from './texts/common.js';
import { productForm as texts } from './texts/products.js';

const whole = { inputmode: 'numeric', autocomplete: 'off' };

/** The fields that can be changed later. */
export const EDITABLE = [
  { name: 'name', label: texts.name, required: true, attributes: { autocomplete: 'off' } },
  { name: 'price', label: texts.price, required: true, attributes: { inputmode: 'decimal', autocomplete: 'off' } },
  { name: 'saleStartsAt', label: texts.opens, type: 'instant', hint: texts.opensHint },
  { name: 'saleEndsAt', label: texts.ends, type: 'instant', hint: texts.endsHint },
  { name: 'perCustomerLimit', label: texts.limit, hint: texts.limitHint, attributes: whole },
  { name: 'holdSeconds', label: texts.hold, hint: texts.holdHint, attributes: { ...whole, inputmode: 'decimal' } },
  { name: 'maxExtensions', label: texts.extensions, hint: texts.extensionsHint, attributes: whole },
  { name: 'description', label: texts.description, type: 'textarea' },
];

/** The fields of a new product. */
export const FIELDS = [
  ...EDITABLE.slice(0, 2),
  {
    name: 'currency',
    label: texts.currency,
    hint: texts.currencyHint,
    attributes: { maxlength: 3, autocomplete: 'off' },
  },
  { name: 'stockQuantity', label: texts.stock, required: true, attributes: whole },
  ...EDITABLE.slice(2),
  { name: 'externalId', label: texts.externalId, hint: texts.externalIdHint, attributes: { autocomplete: 'off' } },
];

const NUMBERS = ['stockQuantity', 'perCustomerLimit', 'holdSeconds', 'maxExtensions'];
const INSTANTS = ['saleStartsAt', 'saleEndsAt'];
const MINUTE_S = 60;

/** The values of an empty form. */
export const EMPTY = {
  ...Object.fromEntries(FIELDS.map(({ name }) => [name, ''])),
  currency: 'USD',
  maxExtensions: '0',
};

/** The values of a form for this product. */
export function valuesOf(product) {
  const text = (name) => {
    const value = product[name];
    if (INSTANTS.includes(name)) return localText(value);
    if (name === 'holdSeconds') return String(value / MINUTE_S);
    return value === null ? '' : String(value);
  };
  return Object.fromEntries(EDITABLE.map(({ name }) => [name, text(name)]));
}

/** The values as the API takes them. Empty ones are null. */
export const bodyOf = (values) =>
  Object.fromEntries(Object.keys(values).map((name) => [name, valueOf(name, values[name])]));

function valueOf(name, text) {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (INSTANTS.includes(name)) return instantOf(trimmed);
  if (name === 'holdSeconds') return Math.round(Number(trimmed) * MINUTE_S);
  if (name === 'currency') return trimmed.toUpperCase();
  return NUMBERS.includes(name) ? Number(trimmed) : trimmed;
}

/** The errors of values that can't be sent, by field. The API checks everything else. */
export function errorsOf(values, fields) {
  const errors = {};
  for (const { name, required } of fields) {
    if (required && values[name].trim() === '') errors[name] = common.required;
    else if (NUMBERS.includes(name) && Number.isNaN(Number(values[name].trim()))) errors[name] = texts.number;
  }
  return errors;
}
