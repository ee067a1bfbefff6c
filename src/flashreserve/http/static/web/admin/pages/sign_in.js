/* Signing in, in place of whichever page was asked for: once signed in, that page is shown. */
import { html, useState } from '../../shared/html.js';
import { Field, FormFault, useForm } from '../fields.js';
import { Page } from '../page.js';
import { signIn, useSession } from '../session.js';
import { signInTexts as texts } from '../texts/sign_in.js';

/** The form to sign in. */
export default function SignIn() {
  const { state } = useSession();
  const form = useForm({ email: '', password: '' });
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    const answer = await signIn(form.values.email.trim(), form.values.password).catch(() => undefined);
    setBusy(false);
    if (!answer?.ok) form.refuse(answer);
  };
  return html`<${Page} title=${texts.title}>
    <p>${state === 'over' ? texts.over : texts.intro}</p>
    <form ref=${form.form} onSubmit=${submit} novalidate>
      <${Field} ...${form.bind(emailField)} />
      <${Field} ...${form.bind(passwordField)} />
      <${FormFault} text=${form.fault} />
      <div class="actions"><button type="submit" class="primary" aria-disabled=${busy}>${texts.submit}</button></div>
    </form>
  <//>`;
}

const emailField = { name: 'email', label: texts.email, type: 'email', attributes: { autocomplete: 'username' } };
const passwordField = {
  name: 'password',
  label: texts.password,
  type: 'password',
  attributes: { autocomplete: 'current-password' },
};
