import type { Picture } from './api';

interface Props {
  readonly pictures: readonly Picture[];
  readonly onPrompt: (picture: Picture) => void;
  readonly onStart: (picture: Picture) => void;
}

/** The session's pictures, newest first, with what they say of themselves. */
export function Gallery({ pictures, onPrompt, onStart }: Props) {
  if (pictures.length === 0) return null;
  return (
    <section aria-label="Pictures">
      <h2>Pictures</h2>
      <ul class="gallery">
        {pictures.map((picture) => (
          <li key={picture.id}>
            <a href={picture.source} download={`${picture.seed}.png`}>
              <img src={picture.source} alt={picture.asked.settings.prompt || 'A picture without a prompt'} />
            </a>
            <details>
              <summary>Seed {picture.seed}: parameters</summary>
              <pre>{picture.infotext}</pre>
            </details>
            <button type="button" onClick={() => onPrompt(picture)}>
              Send to prompt
            </button>{' '}
            <button type="button" onClick={() => onStart(picture)}>
              Send to img2img
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
