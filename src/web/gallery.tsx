import type { Picture } from './api';

interface Props {
  readonly pictures: readonly Picture[];
  readonly onSend: (picture: Picture) => void;
}

/** The session's pictures, newest first, with what they say of themselves. */
export function Gallery({ pictures, onSend }: Props) {
  if (pictures.length === 0) return null;
  return (
    <section aria-label="Pictures">
      <h2>Pictures</h2>
      <ul class="gallery">
        {pictures.map((picture) => (
          <li key={picture.id}>
            <a href={picture.source} download={`${picture.seed}.png`}>
              <img src={picture.source} alt={picture.settings.prompt || 'A picture without a prompt'} />
            </a>
            <details>
              <summary>Seed {picture.seed}: parameters</summary>
              <pre>{picture.infotext}</pre>
            </details>
            <button type="button" onClick={() => onSend(picture)}>
              Send to prompt
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
