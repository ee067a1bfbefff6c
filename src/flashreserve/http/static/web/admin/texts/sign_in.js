/* Texts of signing in, and of making the first admin. */
export const signInTexts = {
  title: 'Sign in',
  intro:
    'The console is for admins of the shop. Is there none yet? Open the link that the server printed when it started, ' +
    'or run “flashreserve admin create”.',
  over: 'Your session is over. Sign in again to go on where you were.',
  email: 'E-mail address',
  password: 'Password',
  submit: 'Sign in',
  starting: 'Starting',
  foreign: 'No admin',
  foreignText: (email) => `${email} is a customer's account. Only admins may use the console.`,
  foreignAdvice:
    'An admin can give it the role under “Keys and people”, or by the command “flashreserve accounts promote”.',
  signOut: 'Sign out and use another account',
};

export const first = {
  title: 'Make the first admin',
  intro: 'This shop has no admin yet. The account that you make here manages products, sales and other admins.',
  used: 'This link is of no use any more: it was used, it is too old, or the shop has an admin.',
  signIn: 'Go to the sign-in',
  repeat: 'Password, once more',
  hint: '8 to 128 characters. Common passwords are refused.',
  differs: 'The two passwords differ.',
  submit: 'Make the account and sign in',
  done: (email) => `${email} is the shop's first admin.`,
};
