/* The page behind the link that the server prints when a shop has no admin yet. */
import { html, useState } from '../../shared/html.js';
import { call } from '../../shared/api.js';
import { tell } from '../changes.js';
import { Field, FormFault, useForm } from '../fields.js';
import { Page } from '../page.js';
import { Loaded, useResource } from '../resource.js';
import { go, pageAddress, usePlace } from '../router.js';
import { signIn } from '../session.js';
import { first as texts, signInTexts } from '../texts/sign_in.js';

/** The page that makes the first admin, by the token in its address. */
export default function FirstAdmin() {
  const [token] = useState(usePlace().query.token ?? '');
  const open = useResource(`auth/first-admin?token=${encodeURIComponent(token)}`);
  const refused = open.status >= 400 && open.status < 500;
  return html`<${Page} title=${texts.title}>
    ${
      refused
        ? html`<p>${texts.used} ${open.fault}</p><p><a href=${pageAddress()}>${texts.signIn}</a></p>`
        : html`<${Loaded} from=${open}>${() => html`<${Form} token=${token} />`}<//>`
    }
  <//>`;
}

function Form({ token }) {
  const form = useForm({ email: '', password: '', repeat: '' });
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const { email, password, repeat } = form.values;
    form.refuseFields(password === repeat ? {} : { repeat: texts.differs });
    if (password !== repeat) return;
    setBusy(true);
    const answer = await make(token, email.trim(), password).catch(() => undefined);
    setBusy(false);
    if (!answer?.ok) form.refuse(answer);
  };
  return html`<p>${texts.intro}</p>
    <form ref=${form.form} onSubmit=${submit} novalidate>
      ${FIELDS.map((field) => html`<${Field} key=${field.name} ...${form.bind(field)} />`)}
      <${FormFault} text=${form.fault} />
      <div class="actions"><button type="submit" class="primary" aria-disabled=${busy}>${texts.submit}</button></div>
    </form>`;
}

const FIELDS = [
  { name: 'email', label: signInTexts.email, type: 'email', attributes: { autocomplete: 'username' } },
  {
    name: 'password',
    label: signInTexts.password,
    type: 'password',
    hint: texts.hint,
    attributes: { autocomplete: 'new-password' },
  },
  { name: 'repeat', label: texts.repeat, type: 'password', attributes: { autocomplete: 'new-password' } },
];

async function make(token, email, password) {
  const made = await call('POST', 'auth/first-admin', { body: { token, email, password } });
  if (!made.ok) return made;
  const signedIn = await signIn(email, password);
  if (signedIn.ok) {
    // The token is of no use now, and shouldn't stay in the history.
    go(pageAddress(), { replace: true });
    tell(texts.done(email));
  }
  return signedIn;
}
