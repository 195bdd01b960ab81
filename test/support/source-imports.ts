/** Finds what a TypeScript file imports, without a compiler: TypeScript 7 has no interface for that. */

export interface ImportReference {
  /** As written; undefined where the name is computed at run time. */
  readonly specifier: string | undefined;
  /** What computes the name, for `import()` of one that is. */
  readonly expression?: string;
  /** `static`: import and export … from, type-only ones too; `dynamic`: `import()`; `url`: `new URL(…, import.meta.url)`. */
  readonly kind: 'static' | 'dynamic' | 'url';
  /** From 1. */
  readonly line: number;
}

const STATIC = /(?:^|[;\n])\s*(?:import|export)\b(?:[^'";]*?\bfrom)?\s*'(s*)'/g;
const DYNAMIC = /\bimport\s*\(\s*(?:'(s*)'|([^)]*))/g;
const URL_OF_MODULE = /\bnew\s+URL\s*\(\s*'(s*)'\s*,\s*import\.meta\.url/g;

/** In the order of the file. */
export function findImports(source: string): readonly ImportReference[] {
  const masked = maskTexts(source);
  const found: (ImportReference & { readonly at: number })[] = [];
  for (const [kind, pattern] of [
    ['static', STATIC],
    ['dynamic', DYNAMIC],
    ['url', URL_OF_MODULE],
  ] as const) {
    for (const match of masked.matchAll(pattern)) {
      const length = match[1]?.length;
      const quote = match.index + match[0].indexOf("'");
      const at = length === undefined ? match.index : quote;
      const name =
        length === undefined
          ? { specifier: undefined, expression: (match[2] ?? '').trim() }
          : { specifier: source.slice(quote + 1, quote + 1 + length) };
      found.push({ ...name, kind, line: masked.slice(0, at).split('\n').length, at });
    }
  }
  found.sort((a, b) => a.at - b.at);
  return found.map(({ at: _at, ...reference }) => reference);
}

/** Tokens that matter here: comments, strings, templates, and regular expressions, where they can stand. */
const TOKEN = new RegExp(
  [
    String.raw`\/\/[^\n]*`,
    String.raw`\/\*[^]*?\*\/`,
    String.raw`'(?:\\[^]|[^'\\\n])*'`,
    String.raw`"(?:\\[^]|[^"\\\n])*"`,
    '`(?:\\\\[^]|[^`\\\\])*`',
    String.raw`(?<=(?:[=(,:[!&|?{};+\n]|return)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])*\/`,
  ].join('|'),
  'g',
);

/** Same length, same line breaks; every string becomes `'sss'`, everything else that is not code becomes blank. */
function maskTexts(source: string): string {
  return source.replace(TOKEN, (token) => {
    const isString = token.startsWith("'") || token.startsWith('"');
    if (isString) return `'${'s'.repeat(token.length - 2)}'`;
    return token.replace(/[^\n]/g, ' ');
  });
}
