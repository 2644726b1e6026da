// React: `npm install /path/to/weir-player-0.1.0.tgz react react-dom` (see README.md), then bundle this file.
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { WeirPlayer } from 'weir-player/react';

function App({ src, token }) {
  const [state, setState] = useState('idle');
  return (
    <main>
      <h1>Live</h1>
      <WeirPlayer
        src={src}
        token={token}
        autoPlay
        muted
        controls
        style={{ width: '100%', aspectRatio: '16 / 9' }}
        onStateChange={({ state }) => setState(state)}
      />
      <p role="status">{state}</p>
    </main>
  );
}

const root = document.getElementById('root');
createRoot(root).render(<App src={root.dataset.src} token={root.dataset.token} />);
