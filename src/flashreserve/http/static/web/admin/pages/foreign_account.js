/* Shown to those who are signed in and aren't admins. */
import { html, useState } from '../../shared/html.js';
import { FormFault } from '../fields.js';
import { Page } from '../page.js';
import { faultOf } from '../resource.js';
import { signOut, useSession } from '../session.js';
import { signInTexts as texts } from '../texts/sign_in.js';

/** Says that the account is no admin's. */
export default function ForeignAccount() {
  const { account } = useSession();
  const [fault, setFault] = useState('');
  const leave = async () => {
    const answer = await signOut().catch(() => undefined);
    if (!answer?.ok) setFault(faultOf(answer));
  };
  return html`<${Page} title=${texts.foreign}>
    <p role="alert">${texts.foreignText(account.email)}</p>
    <p>${texts.foreignAdvice}</p>
    <${FormFault} text=${fault} />
    <div class="actions"><button type="button" class="primary" onClick=${leave}>${texts.signOut}</button></div>
  <//>`;
}
