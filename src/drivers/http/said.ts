/**
 * What a server says, for messages: one short line without secrets. A server, or what stands in front of it, may repeat
 * the request it refuses, with the session token and the signature in it.
 */
const SAID_UNITS_MAX = 300;
const CODE = /^[\w.:-]{1,100}$/;

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\/\/[^/\s@]*@/g, '//…@'],
  [/\b(AWS4-HMAC-SHA256|Basic|Bearer|SharedKey)\s+[\w+/=.,~:-]+/gi, '$1 …'],
  [
    /\b((?:x-amz-)?(?:signature|credential|security-token)|sig|token|password|\w{0,40}secret\w{0,40})(["']?\s*[=:]\s*)(?:"(?:\\.|[^"\\])*"?|'[^']*'?|[^\s&"',;<>]+)/gi,
    '$1$2…',
  ],
];

/** @param secrets what must not be in it, in whatever form a request or an answer has it. */
export function saidSafely(text: string, secrets: readonly string[] = []): string {
  let said = withoutSecrets(text, secrets, '…');
  for (const [pattern, instead] of PATTERNS) said = said.replace(pattern, instead);
  said = said.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  return said.length > SAID_UNITS_MAX ? `${said.slice(0, SAID_UNITS_MAX)}…` : said;
}

/** @param mask in the place of each secret, in whatever form a request or an answer has it. */
export function withoutSecrets(text: string, secrets: readonly string[], mask: string): string {
  return secrets.flatMap(formsOf).reduce((said, secret) => said.replaceAll(secret, mask), text);
}

/** A code goes into tables and metrics; what does not look like one is none. */
export function codeSafely(text: string | undefined, secrets: readonly string[] = []): string {
  return text !== undefined && CODE.test(text) && saidSafely(text, secrets) === text ? text : '';
}

function formsOf(secret: string): readonly string[] {
  if (secret === '') return [];
  const bytes = Buffer.from(secret);
  const inJson = JSON.stringify(secret).slice(1, -1);
  // As Go writes it, of which registries and their tools are made.
  const inGo = inJson.replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
  const encoded = [encodeURIComponent(secret), bytes.toString('base64'), bytes.toString('hex')];
  const forms = [secret, inJson, inGo, ...encoded];
  return [...new Set(forms)].toSorted((left, right) => right.length - left.length);
}
