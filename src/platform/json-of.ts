/** What an answer or a row says, as far as it is JSON; undefined: it is not there, or none. */
export function jsonOf(content: Buffer | undefined): unknown {
  try {
    return content && JSON.parse(content.toString('utf8'));
  } catch {
    return undefined;
  }
}
