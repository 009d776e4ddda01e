// livekit-client alone, with its default options, in the same room.
import { Room, setLogLevel } from "/livelayer/js/livekit/livekit-client.mjs";

setLogLevel("silent");
window.join = async (url, token) => {
  const room = new Room();
  room.on("trackSubscribed", (track) => track.attach(document.querySelector(track.kind)));
  await room.connect(url, token);
};
