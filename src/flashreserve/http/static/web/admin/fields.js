/* Forms: fields with labels, hints and errors. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { faultOf, sentence } from './resource.js';
import { instantOf, utcText } from './instants.js';
import { common } from './texts/common.js';

const LAST_INSTANT = '9999-12-31T23:59:59';

let idsMade = 0;

/**
 * One field. `field` has `name`, `label`, and optionally `type` (as of an input; or `textarea`, `select`, `checkboxes`,
 * `instant`), `hint`, `options` ([value, label] pairs), and attributes of the input in `attributes`.
 */
export function Field({ field, value, error, onValue }) {
  const [id] = useState(() => `field-${(idsMade += 1)}`);
  const { name, label, type = 'text', hint, attributes } = field;
  const shownHint = type === 'instant' ? instantHint(value, hint) : hint;
  const described = [shownHint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  const shared = {
    id,
    name,
    'aria-describedby': described,
    'aria-invalid': error ? 'true' : undefined,
    ...attributes,
  };
  if (type === 'checkboxes') return html`<${Checkboxes} ...${{ id, field, value, error, onValue, described }} />`;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${input(type, shared, value, onValue, field.options)}
    ${shownHint && html`<p class="hint" id="${id}-hint">${shownHint}</p>`}
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </div>`;
}

function input(type, attributes, value, onValue, options = []) {
  const onInput = (event) => onValue(event.target.value);
  if (type === 'textarea') return html`<textarea rows="4" ...${attributes} value=${value} onInput=${onInput} />`;
  if (type === 'instant') {
    const shared = { step: '1', max: LAST_INSTANT, ...attributes };
    return html`<input type="datetime-local" ...${shared} value=${value} onInput=${onInput} />`;
  }
  if (type !== 'select') return html`<input type=${type} ...${attributes} value=${value} onInput=${onInput} />`;
  return html`<select ...${attributes} value=${value} onChange=${onInput}>
    ${options.map(([key, label]) => html`<option key=${key} value=${key}>${label}</option>`)}
  </select>`;
}

function instantHint(value, hint) {
  const instant = instantOf(value);
  return [hint ?? common.zone, instant && common.utcIs(utcText(instant))].filter(Boolean).join(' · ');
}

function Checkboxes({ id, field, value, error, onValue, described }) {
  const { name, label, hint, options } = field;
  const toggle = (key) => (event) => {
    const others = value.filter((each) => each !== key);
    onValue(event.target.checked ? [...others, key] : others);
  };
  return html`<fieldset class="field" aria-describedby=${described}>
    <legend>${label}</legend>
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    <div class="checkboxes">
      ${options.map(
        ([key, text]) => html`<label key=${key} class="checkbox">
          <input type="checkbox" name=${name} value=${key} checked=${value.includes(key)} onChange=${toggle(key)} />
          <span>${text}</span>
        </label>`,
      )}
    </div>
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </fieldset>`;
}

/**
 * The values and errors of a form: `bind(field)` makes the properties of a `Field`. `refuse(answer)` shows why the API
 * refused, at the fields that it names, of which the first gets the focus; `unknown` is the sentence if no answer came.
 */
export function useForm(first) {
  const [values, setValues] = useState(first);
  const [refusal, setRefusal] = useState({ errors: {} });
  const form = useRef(null);
  useEffect(() => form.current?.querySelector('[aria-invalid]')?.focus(), [refusal]);
  return {
    form,
    values,
    setValues,
    fault: refusal.fault,
    bind: (field) => ({
      field,
      value: values[field.name],
      error: refusal.errors[field.name],
      onValue: (value) => setValues((before) => ({ ...before, [field.name]: value })),
    }),
    accept: () => setRefusal({ errors: {} }),
    refuse: (answer, unknown) => setRefusal(refusalOf(answer, Object.keys(first), unknown)),
    refuseFields: (errors) => setRefusal({ errors }),
    halfTyped: () => halfTyped(form.current),
  };
}

/** Errors for dates and times that are typed in part, or out of range. Their value is empty, as if nothing were typed. */
function halfTyped(form) {
  const inputs = [...form.querySelectorAll('input[type=datetime-local]')];
  return Object.fromEntries(
    inputs.filter(({ validity }) => !validity.valid).map(({ name }) => [name, common.halfTyped]),
  );
}

/** Why the API refused: `errors` by the names of fields, and `fault`, a sentence, if it isn't about one of them. */
function refusalOf(answer, names, unknown) {
  if (!answer) return { errors: {}, fault: unknown ?? faultOf(answer) };
  const errors = {};
  for (const { field, message } of answer.problem?.errors ?? [])
    errors[field.replace(/[[.].*$/, '')] ??= sentence(message);
  const shown = Object.keys(errors).some((name) => names.includes(name));
  return { errors, fault: shown ? undefined : faultOf(answer) };
}

/** The fault of a form, if it is about no field. */
export function FormFault({ text }) {
  return text && html`<p class="error" role="alert">${text}</p>`;
}
