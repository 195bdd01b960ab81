/** Values from the environment inside configuration values: `${NAME}`; `$${` stands for a literal `${`. */

export type Environment = Readonly<Record<string, string | undefined>>;

export type Substituted =
  /** `names` are the variables that were put in: a value made of them is not to be shown. */
  | { readonly ok: true; readonly text: string; readonly names: readonly string[] }
  /** Completes a sentence that begins with what the value is for. */
  | { readonly ok: false; readonly problem: string };

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function substitute(text: string, env: Environment): Substituted {
  const names: string[] = [];
  let problem: string | undefined;
  const replaced = text.replace(REFERENCE, (whole: string, name: string | undefined, end: string) => {
    if (whole === '$${') return '${';
    // The name is not shown unless it is one: what follows a stray "${" may be part of a secret.
    if (name === undefined || end === '' || !NAME.test(name)) {
      problem ??= `has a "\${" that begins no \${NAME}; write "$\${" for the characters themselves`;
      return '';
    }
    const value = env[name];
    if (value === undefined) problem ??= `needs the environment variable "${name}", which is not set`;
    names.push(name);
    return value ?? '';
  });
  return problem === undefined ? { ok: true, text: replaced, names } : { ok: false, problem };
}
