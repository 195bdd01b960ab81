/**
 * The paths behind a common beginning as numbers, so that there is a middle between two of them: their next eight
 * characters are digits, from the space to `~`. What lies outside counts as one of the two, so a number is a guess.
 */

const FIRST = 0x20;
const DIGITS = 0x7e - FIRST + 1;
/** 95 to the power of eight still is an exact number. */
const LENGTH = 8;

export class KeySpace {
  readonly common: string;

  constructor(common: string) {
    this.common = common;
  }

  /** The largest number. */
  get end(): number {
    return DIGITS ** LENGTH - 1;
  }

  /** @param path begins with what is common. */
  numberOf(path: string): number {
    let number = 0;
    for (let at = 0; at < LENGTH; at += 1) {
      const index = this.common.length + at;
      const digit = index < path.length ? path.charCodeAt(index) - FIRST : 0;
      number = number * DIGITS + Math.min(DIGITS - 1, Math.max(0, digit));
    }
    return number;
  }

  pathOf(number: number): string {
    let text = '';
    for (let rest = number, at = 0; at < LENGTH; at += 1) {
      text = String.fromCharCode(FIRST + (rest % DIGITS)) + text;
      rest = Math.floor(rest / DIGITS);
    }
    return this.common + text;
  }
}
