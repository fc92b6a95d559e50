"""Kenpath's advisers as Pipecat's language model: contexts in, streamed replies out."""

import uuid
from contextlib import aclosing
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService

from config.errors import ConfigError, ProviderError
from services.context import ServiceContext
from services.failures import category
from services.kenpath import (
    DEV_ADDRESS,
    PROD_ADDRESS,
    BhiliLLMOptions,
    VistaarLLMOptions,
)
from services.kenpath.answers import Adviser, Bhili, Vistaar, bhili_address, vistaar_address
from services.kenpath.tokens import TokenSource, token_source
from services.plain_llm import PlainAdapter, settled


class KenpathLLMService(LLMService[PlainAdapter]):
    """Asks an adviser what the caller said since it last answered.

    The server keeps the conversation; of the context only the caller's unanswered words are
    sent. An interruption ends the request. A failure is reported as an error that carries a
    ``ProviderError``, behind whatever of the answer has come.

    Args:
        adviser: The server.
    """

    adapter_class = PlainAdapter
    #: What was said before, and what to do with it, is not for the adviser to be told.
    takes_history = False

    def __init__(self, adviser: Adviser) -> None:
        super().__init__(settings=settled("kenpath"))
        self._adviser = adviser

    def can_generate_metrics(self) -> bool:
        """True: the time to the first text is reported."""
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer contexts; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._answer(frame.context)
        else:
            await self.push_frame(frame, direction)

    async def run_inference(
        self,
        context: LLMContext,
        max_tokens: int | None = None,
        system_instruction: str | None = None,
        response_schema: dict[str, Any] | None = None,
    ) -> str | None:
        """None: an adviser answers callers only."""
        return None

    async def _answer(self, context: LLMContext) -> None:
        question = unanswered(context)
        if not question:
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.start_processing_metrics()
        await self.start_ttfb_metrics()
        try:
            async with aclosing(self._adviser.answer(question)) as pieces:
                async for text in pieces:
                    await self.stop_ttfb_metrics()
                    await self._push_llm_text(text)
        except ProviderError as error:
            logger.debug(f"{self}: {error.code}")
            await self.push_error(error.message, exception=error, category=category(error))
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())


def build_vistaar(options: VistaarLLMOptions, context: ServiceContext) -> KenpathLLMService:
    """Vistaar for one call.

    Raises:
        ConfigError: The address is none, or there is no key.
    """
    base_url = context.base_url
    if options.environment == "dev" and base_url == PROD_ADDRESS:
        base_url = DEV_ADDRESS
    adviser = Vistaar(
        http=context.http,
        url=vistaar_address(base_url),
        language=context.vendor_language or "hi",
        session_id=context.session_id or str(uuid.uuid4()),
        tokens=_vistaar_tokens(options, context),
        first_text_timeout_seconds=options.first_text_timeout_seconds,
        stall_timeout_seconds=options.stall_timeout_seconds,
        total_timeout_seconds=options.total_timeout_seconds,
    )
    return KenpathLLMService(adviser)


async def prepare_vistaar(options: VistaarLLMOptions, context: ServiceContext) -> None:
    """Sign the first token when an agent is loaded, so that a bad key is told then.

    Raises:
        ConfigError: The key's file cannot be used, or there is none.
    """
    await _vistaar_tokens(options, context).token()


def build_bhili(options: BhiliLLMOptions, context: ServiceContext) -> KenpathLLMService:
    """Voice Bhili for one call.

    Raises:
        ConfigError: The address is none.
    """
    tokens = None
    if context.api_key is not None and options.jwt_phone:
        tokens = token_source(context.api_key.get_secret_value(), options.jwt_phone)
    adviser = Bhili(
        http=context.http,
        url=bhili_address(context.base_url),
        language=context.vendor_language or "bhb",
        session_id=context.session_id or str(uuid.uuid4()),
        tokens=tokens,
        first_text_timeout_seconds=options.first_text_timeout_seconds,
        stall_timeout_seconds=options.first_text_timeout_seconds,
        total_timeout_seconds=options.total_timeout_seconds,
    )
    return KenpathLLMService(adviser)


def unanswered(context: LLMContext) -> str:
    """What the caller said since the agent last spoke, oldest first; empty if nothing."""
    said: list[str] = []
    for message in reversed(context.messages):
        if not isinstance(message, dict):
            continue
        if message.get("role") == "assistant":
            break
        if message.get("role") == "user":
            said.insert(0, _text_of(message.get("content")))
    return " ".join(filter(None, said))


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return " ".join(text.strip() for text in texts if isinstance(text, str))


def _vistaar_tokens(options: VistaarLLMOptions, context: ServiceContext) -> TokenSource:
    if context.api_key is None:
        raise ConfigError("llm.kenpath needs a key; set KENPATH_JWT_PRIVATE_KEY_PATH")
    return token_source(context.api_key.get_secret_value(), options.jwt_phone)
