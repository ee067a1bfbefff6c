/* The form to sign in or to sign up, in place: what the customer had begun goes on afterwards. */
import { html, useEffect, useRef, useState } from '../shared/html.js';
import { signIn, signUp } from './customer.js';
import { leaveSignIn } from './purchase.js';
import { refusal, sentence, signIn as texts } from './texts.js';

const FIELDS = ['email', 'password'];

/** The form. `why` is `buy`, `over` (a sign-in has ended) or `asked`. */
export function SignIn({ why }) {
  const form = useRef(null);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState({ errors: {} });
  useEffect(() => form.current.querySelector('[aria-invalid]')?.focus(), [fault]);
  const send = async (enter) => {
    if (busy) return;
    const [email, password] = FIELDS.map((name) => form.current.elements[name].value);
    setBusy(true);
    setFault({ errors: {} });
    const answer = await enter(email.trim(), password);
    setBusy(false);
    if (!answer?.ok) setFault(faultOf(answer, enter));
  };
  const onSubmit = (event) => {
    event.preventDefault();
    send(signIn);
  };
  return html`<form ref=${form} onSubmit=${onSubmit} novalidate>
    <p>${texts.intro[why]}</p>
    <${Field} name="email" type="email" autocomplete="username" label=${texts.email} error=${fault.errors.email} />
    <${Field}
      name="password" type="password" autocomplete="current-password"
      label=${texts.password} hint=${texts.passwordHint} error=${fault.errors.password}
    />
    ${fault.text && html`<p class="error" role="alert">${fault.text}</p>`}
    ${busy && html`<p class="muted" role="status">${texts.working}</p>`}
    <div class="actions">
      <button type="submit" class="primary" aria-disabled=${busy}>${texts.signIn}</button>
      <button type="button" aria-disabled=${busy} onClick=${() => send(signUp)}>${texts.signUp}</button>
      <button type="button" class="quiet" onClick=${leaveSignIn}>${texts.cancel}</button>
    </div>
  </form>`;
}

function Field({ name, type, autocomplete, label, hint, error }) {
  const id = `sign-in-${name}`;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input
      id=${id} name=${name} type=${type} autocomplete=${autocomplete} required
      aria-describedby=${described} aria-invalid=${error ? 'true' : undefined}
    />
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${error && html`<p class="error" id="${id}-error">${error}</p>`}
  </div>`;
}

/** Why the form was refused: `errors` by field, and `text` if it is about none. */
function faultOf(answer, enter) {
  if (!answer) return { errors: {}, text: texts.unanswered };
  const { problem, status } = answer;
  if (problem?.code === 'email-taken') return { errors: { email: texts.taken } };
  if (status === 401 && enter === signIn) return { errors: {}, text: texts.wrong };
  const errors = Object.fromEntries((problem?.errors ?? []).map(({ field, message }) => [field, sentence(message)]));
  return { errors, text: FIELDS.some((name) => errors[name]) ? undefined : refusal(problem) };
}
