/* Changes: a dialog states the effect, does it when confirmed, and the page tells the result. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { announce } from '../shared/live.js';
import { Field, FormFault, useForm } from './fields.js';
import { keyFor, pendingChange, settle } from './pending_keys.js';
import { sentence, useEvery } from './resource.js';
import { makeStore } from '../shared/store.js';
import { common } from './texts/common.js';

const asked = makeStore(null);
const notice = makeStore(null);
let number = 0;

const UNDECIDED = [401, 403, 408, 429];

/** Tell the result of a change: on the page, and in the live region. It is `good` unless a test or a check failed. */
export function tell(text, good = true) {
  notice.write({ text, good });
  announce(text);
}

/** Take the notice of the last change away, as on another page. */
export const clearNotice = () => notice.read() && notice.write(null);

/** The result of the last change, in words. */
export function Notice() {
  const told = notice.use();
  return (
    told &&
    html`<div class="notice ${told.good ? '' : 'banner'}">
      <p>${told.text}</p>
      <button type="button" class="quiet" onClick=${clearNotice}>${common.close}</button>
    </div>`
  );
}

/**
 * State the effect of a change, and do it if it is confirmed. Resolves to `{data, values}` once it is done, or to null.
 *
 * `title`, `effect` (a sentence, or several) and `confirm` (the button) are texts; `fields` are asked for.
 * `check(values)` returns errors by field before anything is sent. `run(values, key)` calls the API and resolves to its
 * answer. `done(data, values)` is the sentence that tells the result; `good(data)`, whether it is a good one. With
 * `keyed`, a name for the change, `run` gets an idempotency key, which stays the same until the outcome is known.
 */
export function change(wanted) {
  number += 1;
  return new Promise((resolve) => asked.write({ fields: [], ...wanted, resolve, number }));
}

/** The dialog. It is in the page once. */
export function Changes() {
  const wanted = asked.use();
  return wanted && html`<${Dialog} key=${wanted.number} wanted=${wanted} />`;
}

function Dialog({ wanted }) {
  const dialog = useRef(null);
  const [pending] = useState(() => wanted.keyed && pendingChange(wanted.keyed));
  const form = useForm(firstValues(wanted, pending));
  const [state, setState] = useState({ busy: false });
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  const leave = (result) => {
    dialog.current.close();
    asked.write(null);
    wanted.resolve(result);
    // The button that opened the dialog may be gone, for example after a removal.
    if (document.activeElement === document.body) document.querySelector('h1')?.focus();
  };
  const confirm = (event) => {
    event.preventDefault();
    if (!state.busy) carryOut(wanted, form, setState, leave);
  };
  const onCancel = (event) => {
    event.preventDefault();
    if (!state.busy) leave(null);
  };
  const labels = { 'aria-labelledby': 'change-title', 'aria-describedby': 'change-effect' };
  return html`<dialog ref=${dialog} ...${labels} onCancel=${onCancel}>
    <form ref=${form.form} onSubmit=${confirm} novalidate>
      <h2 id="change-title">${wanted.title}</h2>
      <div id="change-effect">
        ${[wanted.effect].flat().map((text) => html`<p>${text}</p>`)}
        ${pending && html`<p><strong>${common.keptKey}</strong></p>`}
      </div>
      ${wanted.fields.map((field) => html`<${Field} key=${field.name} ...${form.bind(field)} />`)}
      <${FormFault} text=${form.fault ?? state.fault} />
      ${state.busy && html`<${Working} />`}
      <div class="actions">
        <button type="submit" class=${wanted.grave ? 'danger' : 'primary'} aria-disabled=${state.busy}>
          ${wanted.confirm}
        </button>
        <button type="button" onClick=${onCancel} aria-disabled=${state.busy}>${common.cancel}</button>
      </div>
    </form>
  </dialog>`;
}

function firstValues({ fields }, pending) {
  const values = Object.fromEntries(
    fields.map(({ name, value, type }) => [name, value ?? (type === 'checkboxes' ? [] : '')]),
  );
  return { ...values, ...pending?.values };
}

async function carryOut(wanted, form, setState, leave) {
  const { values } = form;
  const errors = { ...(wanted.check?.(values) ?? missing(wanted.fields, values)), ...form.halfTyped() };
  form.refuseFields(errors);
  if (Object.keys(errors).length > 0) return;
  setState({ busy: true });
  const key = wanted.keyed && keyFor(wanted.keyed, values);
  const answer = await wanted.run(values, key).catch(() => undefined);
  const unknown = !answer || answer.problem?.code === 'outcome-unknown';
  if (wanted.keyed && answer && isDecision(answer)) settle(wanted.keyed);
  if (answer?.ok) {
    tell(wanted.done(answer.data, values), wanted.good?.(answer.data));
    leave({ data: answer.data, values });
  } else if (answer?.status === 401) {
    leave(null);
  } else {
    setState({ busy: false, fault: unknown ? unknownText(wanted, answer) : undefined });
    if (!unknown) form.refuse(answer);
  }
}

/** Whether the answer decides on the change: other refusals, such as a lost session, say nothing of an earlier try. */
const isDecision = ({ ok, status }) => ok || (status < 500 && !UNDECIDED.includes(status));

function missing(fields, values) {
  const empty = fields.filter(({ name, required }) => required && values[name].length === 0);
  return Object.fromEntries(empty.map(({ name }) => [name, common.required]));
}

function unknownText({ keyed }, answer) {
  if (keyed) return common.unknownKeyed;
  return answer ? sentence(answer.problem.detail) : common.unknownOutcome;
}

/** Words while a change is carried out, with the seconds once it takes long. */
export function Working() {
  const [seconds, setSeconds] = useState(0);
  useEvery(1000, () => setSeconds((before) => before + 1));
  return html`<p class="muted" role="status">${seconds < 2 ? common.working : common.workingFor(seconds)}</p>`;
}
