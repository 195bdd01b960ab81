/** Has the target room for what is in the source? Pure. */
import type { SurveyReport, TargetFindings } from '../engine-port.ts';
import { type Finding, note, ok, problem } from './finding.ts';

/** Room for what is pushed meanwhile, and for what a file system needs itself. */
const ROOM_FACTOR = 1.05;
/** A blob and a link are a file each, in a folder of its own. */
const FILES_PER_OBJECT = 2;

export function roomFor(
  { bytes, objects }: Pick<SurveyReport, 'bytes' | 'objects'>,
  target: Pick<TargetFindings, 'name' | 'freeBytes' | 'freeFiles' | 'holds'>,
): readonly Omit<Finding, 'item'>[] {
  const { name, freeBytes, freeFiles, holds } = target;
  const files = objects * FILES_PER_OBJECT;
  const isShortOfFiles = freeFiles !== undefined && freeFiles < files;
  const ofFiles = isShortOfFiles
    ? [lack(`${name} has room for ${freeFiles} files and folders, and ${files} are needed`, holds)]
    : [];
  if (freeBytes === undefined) {
    const what = 'a quota that it may have is met only by writing';
    return [{ is: 'unknown', text: `${name} does not say how much room it has: ${what}` }, ...ofFiles];
  }
  const text = `${name} has room for ${freeBytes} bytes, and the source holds ${bytes}`;
  return [freeBytes >= bytes * ROOM_FACTOR ? ok(text) : lack(text, holds), ...ofFiles];
}

function lack(text: string, holds: TargetFindings['holds']): Omit<Finding, 'item'> {
  // What is there already needs no room any more, and how much that is was not counted.
  if (holds === 'ours') return note(`${text}, of which some is there already`);
  return problem(text, 'Make room, or raise the quota');
}
