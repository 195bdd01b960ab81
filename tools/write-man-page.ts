/** `npm run man`: writes the manual page anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Actions, buildProgram } from '../src/cli/program.ts';
import { manPage } from './man-page.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};
writeFileSync(
  new URL('../docs/blobferry.1', import.meta.url),
  manPage(buildProgram(version, {} as Actions), version),
);
