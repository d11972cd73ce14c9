//! HTTP/2 frames as they pass by: only what they say of the connection.

/// A frame's header (RFC 9113, section 4.1): length, type, flags, stream.
const HEADER: usize = 9;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
/// What a GOAWAY holds before its text: last stream and reason.
const GOAWAY_FIXED: usize = 8;
/// Flag of a SETTINGS frame that only confirms ours.
const ACK: u8 = 0x1;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;

/// What a peer's frames say of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// At most so many streams at once.
    MaxStreams(u32),
    /// Its settings have come, whole.
    Settled,
    /// It takes no new streams.
    GoAway,
}

/// Follows the boundaries of frames over reads of any size.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    head: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
    /// Bytes of the payload that have come.
    come: usize,
    setting: [u8; 6],
    /// Bytes of the setting that have come.
    set: usize,
}

impl Frames {
    /// Takes bytes off the wire. The text of a goodbye is blotted out in them: it is the peer's own, may quote what it was
    /// sent, and whoever reads on would put it into errors and logs.
    pub(crate) fn feed(&mut self, mut bytes: &mut [u8], mut tell: impl FnMut(News)) {
        while !bytes.is_empty() {
            if self.head < HEADER {
                let taken = bytes.len().min(HEADER - self.head);
                self.header[self.head..self.head + taken].copy_from_slice(&bytes[..taken]);
                self.head += taken;
                bytes = &mut bytes[taken..];
                if self.head < HEADER {
                    return;
                }
                let [a, b, c, kind, ..] = self.header;
                self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                if kind == GOAWAY {
                    tell(News::GoAway);
                }
            } else {
                let taken = bytes.len().min(self.left);
                if self.is_settings() {
                    self.settings(&bytes[..taken], &mut tell);
                }
                if self.header[3] == GOAWAY {
                    let text = GOAWAY_FIXED.saturating_sub(self.come).min(taken);
                    bytes[text..taken].fill(b'*');
                }
                self.left -= taken;
                self.come += taken;
                bytes = &mut bytes[taken..];
            }
            if self.left == 0 {
                if self.is_settings() {
                    tell(News::Settled);
                }
                (self.head, self.set, self.come) = (0, 0, 0);
            }
        }
    }

    fn is_settings(&self) -> bool {
        let [_, _, _, kind, flags, ..] = self.header;
        kind == SETTINGS && flags & ACK == 0
    }

    fn settings(&mut self, bytes: &[u8], tell: &mut impl FnMut(News)) {
        for &byte in bytes {
            self.setting[self.set] = byte;
            self.set += 1;
            if self.set == self.setting.len() {
                self.set = 0;
                let [a, b, value @ ..] = self.setting;
                if u16::from_be_bytes([a, b]) == MAX_CONCURRENT_STREAMS {
                    tell(News::MaxStreams(u32::from_be_bytes(value)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn only_settings_and_goodbyes_are_heard() {
        // the first payloads hold what would be frames if boundaries were lost
        let goodbye = frame(GOAWAY, 0, &[0; 8]);
        let wire = [
            frame(SETTINGS, 0, &[0, 1, 0, 0, 16, 0, 0, 3, 0, 0, 0, 7]),
            frame(SETTINGS, ACK, &[]),
            frame(0, 0, &goodbye),
            frame(0, 1, &[]),
            frame(SETTINGS, 0, &[]),
            frame(SETTINGS, 0, &[0, 3, 0, 1, 0, 0]),
            frame(0, 0, &vec![7; 70_000]),
            goodbye,
        ]
        .concat();
        let expected = [
            News::MaxStreams(7),
            News::Settled,
            News::Settled,
            News::MaxStreams(65_536),
            News::Settled,
            News::GoAway,
        ];
        for piece in [1, 2, 5, 9, 10, 1000, wire.len()] {
            let (mut frames, mut heard) = (Frames::default(), Vec::new());
            wire.clone()
                .chunks_mut(piece)
                .for_each(|bytes| frames.feed(bytes, |news| heard.push(news)));
            assert_eq!(heard, expected, "{piece}");
        }
    }

    #[test]
    fn the_text_of_a_goodbye_is_blotted_out() {
        let wire = |text: &[u8]| {
            let goodbye = [&[0, 0, 0, 9, 0, 0, 0, 2][..], text].concat();
            let frames = [
                frame(0, 0, b"an answer"),
                frame(GOAWAY, 0, &goodbye),
                frame(GOAWAY, 0, &goodbye[..8]),
                frame(0, 1, b"and another"),
            ];
            frames.concat()
        };
        for piece in [1, 3, 17, 18, 100] {
            let (mut frames, mut read) = (Frames::default(), wire(b"of SECRETKEY"));
            read.chunks_mut(piece)
                .for_each(|bytes| frames.feed(bytes, |_| ()));
            assert_eq!(read, wire(b"************"), "{piece}");
        }
    }
}
