//! Reading frames, the same for both sides: which of them is due, what it is made of, field blocks put together from theirs. No
//! stream is known here: what a frame means, and in which state of its stream, is for the connection to say.
//!
//! A frame is given when it is there as a whole, but for DATA, which is handed on as it comes: what a peer sends slowly
//! then waits in its stream, under its window, and not in front of everybody else.

use super::fault::Fault;
use super::flood::Flood;
use super::frame::{
    self, END_STREAM, Frame, FrameFault, FrameHeader, HEADER_BYTES, Kind, PADDED, Scope,
};
use super::stream::StreamKey;
use lanner_limits::Trip;

/// What stands at the front of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    /// A field block, whole.
    Block(FieldBlock<'a>),
    /// A piece of one, of which CONTINUATION is still to come.
    BlockPiece,
    /// The last piece of one: [`Reader::take_block`] gives all of it.
    BlockEnd,
    /// The header of DATA, with the length of its padding. What is behind it is read once the connection has said whose it is:
    /// [`Reader::begin_data`].
    Data(DataHeader),
    /// Any other frame.
    Frame(Frame<'a>),
    /// A frame that is wrong by itself, so that its stream is to suffer.
    Faulty { stream: u32, fault: FrameFault },
}

/// All of a field block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldBlock<'a> {
    pub(crate) stream: u32,
    /// Whether the message ends with it.
    pub(crate) end_stream: bool,
    pub(crate) bytes: &'a [u8],
}

/// What the header of a DATA frame says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataHeader {
    pub(crate) stream: u32,
    /// Whether the message ends with it.
    pub(crate) end_stream: bool,
    /// What it costs of both windows: padding counts (section 6.1).
    pub(crate) flow_bytes: u32,
    /// Bytes of content.
    pub(crate) data: u32,
    padding: u32,
}

/// Bytes of the DATA frame under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataPiece {
    /// Whose content it is. None where nobody wants it, and of padding.
    pub(crate) stream: Option<StreamKey>,
    pub(crate) bytes: usize,
    /// Whether the message ends with it.
    pub(crate) last: bool,
}

/// What is left of a DATA frame.
#[derive(Clone, Copy, Debug)]
struct DataFrame {
    stream: Option<StreamKey>,
    end_stream: bool,
    data: u32,
    padding: u32,
}

/// A field block that comes in pieces.
#[derive(Debug)]
pub(crate) struct GatheredBlock {
    stream: u32,
    end_stream: bool,
    bytes: Vec<u8>,
}

impl GatheredBlock {
    pub(crate) fn whole(&self) -> FieldBlock<'_> {
        FieldBlock {
            stream: self.stream,
            end_stream: self.end_stream,
            bytes: &self.bytes,
        }
    }
}

/// Where the next byte of input belongs.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Our SETTINGS_MAX_FRAME_SIZE.
    frame_bytes_max: u32,
    /// Frames of a block are bounded in number; its bytes are too, for they are held while the rest comes. More than a head may
    /// have, so that one which is only somewhat too long ends its stream, and not the connection.
    block_bytes_max: usize,
    /// The DATA frame under way.
    data: Option<DataFrame>,
    block: Option<GatheredBlock>,
}

impl Reader {
    pub(crate) fn new(frame_bytes_max: u32, block_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            block_bytes_max,
            data: None,
            block: None,
        }
    }

    /// Whether what comes next is [`Reader::read_data`]'s.
    #[inline]
    pub(crate) fn is_in_data(&self) -> bool {
        self.data.is_some()
    }

    /// Whether nothing but CONTINUATION may come.
    #[inline]
    pub(crate) fn is_in_block(&self) -> bool {
        self.block.is_some()
    }

    /// Whether more is to come of a frame of which `bytes` are there, or of a field block. Content of DATA is not meant: its
    /// stream waits for that.
    pub(crate) fn awaits_rest(&self, bytes: usize) -> bool {
        self.data.is_none() && (bytes > 0 || self.block.is_some())
    }

    /// Takes what was gathered of a field block, all of it behind [`Part::BlockEnd`].
    pub(crate) fn take_block(&mut self) -> Option<GatheredBlock> {
        self.block.take()
    }

    /// What stands at the front of the input, and how many bytes of it that is; none where more must come first. `have_begun`
    /// says whether the peer's first SETTINGS have come.
    ///
    /// # Errors
    /// What ends the connection.
    // Always: of each side there is one caller, and a `Part` that is handed through memory costs fifty instructions a frame.
    #[inline(always)]
    pub(crate) fn read<'a>(
        &mut self,
        input: &'a [u8],
        have_begun: bool,
        flood: &mut Flood,
    ) -> Result<Option<(Part<'a>, usize)>, Fault> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = FrameHeader::parse(header);
        self.judge_turn(header, have_begun)?;
        if let Err(fault) = header.judge(self.frame_bytes_max) {
            let part = faulty(header, fault)?;
            let is_whole = rest.len() >= header.length as usize;
            return Ok(is_whole.then(|| (part, HEADER_BYTES + header.length as usize)));
        }
        if header.kind == Kind::DATA {
            return read_data_header(header, rest);
        }
        let Some(payload) = rest.get(..header.length as usize) else {
            return Ok(None);
        };
        let part = match Frame::parse(header, payload) {
            Ok(Frame::Headers {
                stream,
                end_stream,
                end_headers,
                fragment,
                ..
            }) => {
                flood.field_block();
                let block = FieldBlock {
                    stream,
                    end_stream,
                    bytes: fragment,
                };
                if end_headers {
                    Part::Block(block)
                } else {
                    self.begin_block(block)
                }
            }
            Ok(Frame::Continuation {
                end_headers,
                fragment,
                ..
            }) => {
                flood.continuation()?;
                self.continue_block(end_headers, fragment)?
            }
            Ok(frame) => Part::Frame(frame),
            Err(fault) => faulty(header, fault)?,
        };
        Ok(Some((part, HEADER_BYTES + payload.len())))
    }

    /// Section 3.4: SETTINGS come first. Section 4.3: nothing comes between the frames of a field block.
    #[inline]
    fn judge_turn(&self, header: FrameHeader, have_begun: bool) -> Result<(), Fault> {
        if let Some(block) = &self.block {
            let is_more = header.kind == Kind::CONTINUATION && header.stream == block.stream;
            return if is_more {
                Ok(())
            } else {
                Err(Fault::FieldBlock)
            };
        }
        if !have_begun && (header.kind != Kind::SETTINGS || header.has(frame::ACK)) {
            return Err(Fault::FirstFrame);
        }
        Ok(())
    }

    /// HEADERS that CONTINUATION follows.
    #[cold]
    fn begin_block(&mut self, begin: FieldBlock<'_>) -> Part<'static> {
        self.block = Some(GatheredBlock {
            stream: begin.stream,
            end_stream: begin.end_stream,
            bytes: begin.bytes.to_vec(),
        });
        Part::BlockPiece
    }

    #[cold]
    fn continue_block(
        &mut self,
        end_headers: bool,
        fragment: &[u8],
    ) -> Result<Part<'static>, Fault> {
        let block = self.block.as_mut().ok_or(Fault::FieldBlock)?;
        if block.bytes.len() + fragment.len() > self.block_bytes_max {
            return Err(Trip::HeaderBytes.into());
        }
        // Held for as long as a head may take, by as many as like to: not a byte more than came.
        block.bytes.reserve_exact(fragment.len());
        block.bytes.extend_from_slice(fragment);
        Ok(if end_headers {
            Part::BlockEnd
        } else {
            Part::BlockPiece
        })
    }

    /// Goes on to what is behind the header of a DATA frame, whose content is `stream`'s, or nobody's.
    #[inline]
    pub(crate) fn begin_data(&mut self, header: DataHeader, stream: Option<StreamKey>) {
        if header.data + header.padding > 0 {
            self.data = Some(DataFrame {
                stream,
                end_stream: header.end_stream,
                data: header.data,
                padding: header.padding,
            });
        }
    }

    /// As much as has come of the DATA frame under way: content, or the padding behind it. None where nothing has.
    #[inline]
    pub(crate) fn read_data(&mut self, input: &[u8]) -> Option<DataPiece> {
        let frame = self.data.as_mut().filter(|_| !input.is_empty())?;
        let is_content = frame.data > 0;
        let left = if is_content {
            &mut frame.data
        } else {
            &mut frame.padding
        };
        let bytes = input.len().min(*left as usize);
        *left -= bytes as u32;
        let piece = DataPiece {
            stream: frame.stream.filter(|_| is_content),
            bytes,
            last: is_content && frame.data == 0 && frame.end_stream,
        };
        if frame.data + frame.padding == 0 {
            self.data = None;
        }
        Some(piece)
    }
}

/// A frame that is wrong by itself.
#[cold]
fn faulty(header: FrameHeader, fault: FrameFault) -> Result<Part<'static>, Fault> {
    match fault.answer().1 {
        Scope::Connection => Err(fault.into()),
        Scope::Stream => Ok(Part::Faulty {
            stream: header.stream,
            fault,
        }),
    }
}

/// What a DATA frame costs is decided before its content comes, so its padding's length must be there.
#[inline]
fn read_data_header<'a>(
    header: FrameHeader,
    rest: &[u8],
) -> Result<Option<(Part<'a>, usize)>, Fault> {
    let (prefix, padding) = match (header.has(PADDED), rest.first()) {
        (false, _) => (0, 0),
        (true, Some(padding)) => (1, u32::from(*padding)),
        (true, None) => return Ok(None),
    };
    let data = (header.length - prefix)
        .checked_sub(padding)
        .ok_or(FrameFault::DataPadding)?;
    let part = Part::Data(DataHeader {
        stream: header.stream,
        end_stream: header.has(END_STREAM),
        flow_bytes: header.length,
        data,
        padding,
    });
    Ok(Some((part, HEADER_BYTES + prefix as usize)))
}
