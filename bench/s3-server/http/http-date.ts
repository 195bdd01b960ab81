const last = { second: -1, text: '' };

/** As `Last-Modified` and `Date` want it; the same second is asked for many times in a row. */
export function httpDate(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== last.second) {
    last.second = second;
    last.text = new Date(second * 1000).toUTCString();
  }
  return last.text;
}
