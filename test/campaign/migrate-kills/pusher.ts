/** People who push, move and delete while a migration is under way, and what the registry must hold in the end. */
import { pushImages, setTag } from '../../support/image-push.ts';
import type { ImageSet, TestImage } from '../../support/images.ts';
import type { Msr } from '../../support/msr/msr.ts';
import type { Random } from '../random.ts';

export class Pusher {
  readonly #images: ImageSet;
  readonly #msr: Msr;
  readonly #random: Random;
  readonly #reserve: TestImage[];
  /** By `repository:tag`. */
  readonly #held = new Map<string, TestImage>();

  constructor(images: ImageSet, msr: Msr, random: Random) {
    this.#images = images;
    this.#msr = msr;
    this.#random = random;
    this.#reserve = [...images.images];
  }

  get held(): readonly TestImage[] {
    return [...this.#held.values()];
  }

  /** Would a push be let in, and get where the migration looks for it? */
  get mayChange(): boolean {
    const { state } = this.#msr;
    const replicas = Object.values(state.replicas.readOnly());
    const isWell = Object.values(state.replicas.health()).every((word) => word === 'OK');
    return replicas.length > 0 && isWell && !replicas.includes(true);
  }

  async push(count: number): Promise<void> {
    const images = this.#reserve.splice(0, count);
    await pushImages({ ...this.#images, images }, this.#msr.host);
    for (const image of images) this.#hold(image);
  }

  /** One change. @returns what it was. */
  async change(): Promise<'push' | 'retag' | 'delete tag' | 'delete repository'> {
    const { state } = this.#msr;
    const chosen = this.#random.pick(this.held);
    const others = this.held.filter(({ repository }) => repository === chosen.repository);
    const kind = this.#random.integer(0, 5);
    if (kind <= 2 && this.#reserve.length > 0) {
      await this.push(1);
      return 'push';
    }
    // Of what is deleted enough is left.
    if (kind === 3 && others.length > 1) {
      await state.removeTag(chosen.repository, chosen.tag);
      this.#held.delete(nameOf(chosen));
      return 'delete tag';
    }
    if (kind === 4 && this.#held.size > others.length + 2) {
      await state.removeRepository(chosen.repository);
      for (const other of others) this.#held.delete(nameOf(other));
      // Its registry may remember blobs of it that are gone.
      const left = this.#reserve.filter(({ repository }) => repository !== chosen.repository);
      this.#reserve.splice(0, this.#reserve.length, ...left);
      return 'delete repository';
    }
    const moved = { ...this.#random.pick(others), tag: 'moves' };
    await setTag(this.#images, this.#msr.host, moved);
    this.#hold(moved);
    return 'retag';
  }

  #hold(image: TestImage): void {
    this.#held.set(nameOf(image), image);
  }
}

function nameOf({ repository, tag }: TestImage): string {
  return `${repository}:${tag}`;
}
