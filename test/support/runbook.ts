/** The commands of a runbook as its readers paste them: the fenced `sh` blocks of its text, by the name behind `sh`. */

/** @throws Error where a block has no name, or one that another block has. */
export function shellBlocks(markdown: string): ReadonlyMap<string, string> {
  const blocks = new Map<string, string>();
  for (const [, indent = '', name = '', body = ''] of markdown.matchAll(FENCED)) {
    if (name === '' || blocks.has(name)) throw new Error(`A block of the runbook is called "${name}"`);
    blocks.set(name, body.replaceAll(`\n${indent}`, '\n').trim());
  }
  return blocks;
}

const FENCED = /^([ ]*)```sh ?(\S*)\n([\s\S]*?)^ *```$/gm;

/** Gives the variables of a block their values. @throws Error where one is not set there. */
export function filledIn(block: string, values: Readonly<Record<string, string>>): string {
  return Object.entries(values).reduce((text, [name, value]) => {
    const line = new RegExp(`^${name}=\\S*$`, 'm');
    if (!line.test(text)) throw new Error(`The runbook sets no ${name}`);
    return text.replace(line, () => `${name}=${value}`);
  }, block);
}
